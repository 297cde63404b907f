#include "plugins/wsgi/input.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "plugins/wsgi/input_stream.hpp"

namespace narwhal::wsgi {

namespace {

struct Input {
  PyObject_HEAD narwhal_exchange* exchange;  // null: closed
  BodyStream* stream;  // for a body that still arrives, else null; the other members are for a whole body
  const char* data;    // the whole body; null while it was not needed in memory
  int file;            // the descriptor of a spooled body, else -1
  Py_ssize_t size, at;
};

Input* as_input(PyObject* object) noexcept { return reinterpret_cast<Input*>(object); }

bool is_open(const Input* self) noexcept {
  if (self->exchange != nullptr) return true;
  PyErr_SetString(PyExc_ValueError, input_is_closed);
  return false;
}

// Lines are searched in memory, so a spooled body is mapped.
bool map_body(Input* self) noexcept {
  if (self->data != nullptr || self->size == 0) return true;
  narwhal_bytes body{};
  if (host->body(self->exchange, &body) != NARWHAL_OK || static_cast<Py_ssize_t>(body.size) < self->size) {
    PyErr_SetString(PyExc_OSError, "the request's body cannot be read; the server's log says why");
    return false;
  }
  self->data = body.data;
  return true;
}

bool read_file(Input* self, char* to, Py_ssize_t count) noexcept {
  Py_ssize_t done = 0;
  ssize_t got = 1;
  const WithoutGil others_may_run;
  while (done < count && got > 0) {
    got = ::pread(self->file, to + done, static_cast<std::size_t>(count - done), self->at + done);
    if (got > 0) done += got;
    if (got < 0 && errno == EINTR) got = 1;
  }
  return done == count;
}

// The next `count` bytes; the caller knows that the body has them.
PyObject* take(Input* self, Py_ssize_t count) noexcept {
  if (self->data != nullptr || self->file < 0) {
    if (!map_body(self)) return nullptr;
    const char* const from = self->data + self->at;
    self->at += count;
    return PyBytes_FromStringAndSize(from, count);
  }
  Ref bytes(PyBytes_FromStringAndSize(nullptr, count));
  if (!bytes) return nullptr;
  if (!read_file(self, PyBytes_AS_STRING(bytes.get()), count)) {
    PyErr_SetString(PyExc_OSError, "the request's body cannot be read from its file");
    return nullptr;
  }
  self->at += count;
  return bytes.release();
}

// The optional argument of read(), readline() and readlines(): -1 when it is left out, None or negative.
bool size_argument(PyObject* const* arguments, Py_ssize_t count, const char* method, Py_ssize_t& size) noexcept {
  size = -1;
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument (%zd given)", method, count);
    return false;
  }
  if (count == 0 || arguments[0] == Py_None) return true;
  size = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
  return size != -1 || PyErr_Occurred() == nullptr;
}

PyObject* input_read(PyObject* object, PyObject* const* arguments, Py_ssize_t count) noexcept {
  Input* const self = as_input(object);
  Py_ssize_t size = 0;
  if (!is_open(self) || !size_argument(arguments, count, "read", size)) return nullptr;
  if (self->stream != nullptr) return self->stream->read(size);
  const Py_ssize_t left = self->size - self->at;
  return take(self, size < 0 ? left : std::min(size, left));
}

// Empty at the body's end.
PyObject* next_line(Input* self, Py_ssize_t size) noexcept {
  if (self->stream != nullptr) return self->stream->line(size);
  if (!map_body(self)) return nullptr;
  const Py_ssize_t left = self->size - self->at;
  Py_ssize_t length = size < 0 ? left : std::min(size, left);
  if (length == 0) return PyBytes_FromStringAndSize(nullptr, 0);
  const char* const from = self->data + self->at;
  const void* const end = std::memchr(from, '\n', static_cast<std::size_t>(length));
  if (end != nullptr) length = static_cast<const char*>(end) - from + 1;
  return take(self, length);
}

PyObject* input_readline(PyObject* object, PyObject* const* arguments, Py_ssize_t count) noexcept {
  Py_ssize_t size = 0;
  if (!is_open(as_input(object)) || !size_argument(arguments, count, "readline", size)) return nullptr;
  return next_line(as_input(object), size);
}

PyObject* input_readlines(PyObject* object, PyObject* const* arguments, Py_ssize_t count) noexcept {
  Input* const self = as_input(object);
  Py_ssize_t hint = 0;
  if (!is_open(self) || !size_argument(arguments, count, "readlines", hint)) return nullptr;
  Ref lines(PyList_New(0));
  Py_ssize_t read = 0;
  while (lines && (hint <= 0 || read < hint)) {
    const Ref line(next_line(self, -1));
    if (line && PyBytes_GET_SIZE(line.get()) == 0) break;
    if (!line || PyList_Append(lines.get(), line.get()) != 0) return nullptr;
    read += PyBytes_GET_SIZE(line.get());
  }
  return lines.release();
}

PyObject* input_next(PyObject* object) noexcept {
  Input* const self = as_input(object);
  if (!is_open(self)) return nullptr;
  Ref line(next_line(self, -1));
  return line && PyBytes_GET_SIZE(line.get()) != 0 ? line.release() : nullptr;
}

void input_free(PyObject* object) noexcept {
  delete as_input(object)->stream;
  PyObject_Free(object);
}

PyMethodDef methods[] = {
    {"read", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(input_read)), METH_FASTCALL,
     "read([size]): at most size bytes; without it, all that are left"},
    {"readline", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(input_readline)), METH_FASTCALL,
     "readline([size]): a line with its newline, at most size bytes of it"},
    {"readlines", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(input_readlines)), METH_FASTCALL,
     "readlines([hint]): the lines that are left; with hint, as many as have that number of bytes"},
    {nullptr, nullptr, 0, nullptr}};

PyTypeObject type = [] {
  PyTypeObject type = plain_type("narwhal.Input", sizeof(Input), "The body of a request: wsgi.input.");
  type.tp_dealloc = input_free;
  type.tp_iter = PyObject_SelfIter;
  type.tp_iternext = input_next;
  type.tp_methods = methods;
  return type;
}();

}  // namespace

bool prepare_input_type() noexcept { return PyType_Ready(&type) == 0; }

PyObject* make_input(narwhal_exchange* exchange, std::int64_t size, RequestBody body) noexcept {
  Input* const self = PyObject_New(Input, &type);
  if (self == nullptr) return nullptr;
  self->exchange = exchange;
  self->stream = nullptr;
  self->data = nullptr;
  self->file = size > 0 ? host->body_fd(exchange) : -1;
  self->size = static_cast<Py_ssize_t>(size);
  self->at = 0;
  if (body == RequestBody::whole) return reinterpret_cast<PyObject*>(self);
  self->stream = new (std::nothrow) BodyStream(exchange, size);
  if (self->stream != nullptr) return reinterpret_cast<PyObject*>(self);
  Py_DECREF(self);
  return PyErr_NoMemory();
}

void close_input(PyObject* input) noexcept {
  Input* const self = as_input(input);
  if (self->stream != nullptr) self->stream->close();
  self->exchange = nullptr;
}

}  // namespace narwhal::wsgi
