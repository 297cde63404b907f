#include "plugins/wsgi/file_wrapper.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <utility>

namespace narwhal::wsgi {

namespace {

bool may_send_files = true;

struct FileWrapper {
  PyObject_HEAD PyObject* file;
  PyObject* block_size;
  PyObject* attributes;  // a dict, or null
  bool iterated;
};

FileWrapper* as_wrapper(PyObject* object) noexcept { return reinterpret_cast<FileWrapper*>(object); }

PyObject* wrapper_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) noexcept {
  static const char* names[] = {"filelike", "blksize", nullptr};
  PyObject *file = nullptr, *block_size = nullptr;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:file_wrapper", const_cast<char**>(names), &file,
                                  &block_size) == 0) {
    return nullptr;
  }
  Ref size(block_size != nullptr ? Py_NewRef(block_size) : PyLong_FromLong(8192));
  auto* const self = reinterpret_cast<FileWrapper*>(size ? type->tp_alloc(type, 0) : nullptr);
  if (self == nullptr) return nullptr;
  self->file = Py_NewRef(file);
  self->block_size = size.release();
  return reinterpret_cast<PyObject*>(self);
}

int wrapper_traverse(PyObject* object, visitproc visit, void* arg) noexcept {
  Py_VISIT(as_wrapper(object)->file);
  Py_VISIT(as_wrapper(object)->block_size);
  Py_VISIT(as_wrapper(object)->attributes);
  return 0;
}

int wrapper_clear(PyObject* object) noexcept {
  Py_CLEAR(as_wrapper(object)->file);
  Py_CLEAR(as_wrapper(object)->block_size);
  Py_CLEAR(as_wrapper(object)->attributes);
  return 0;
}

void wrapper_free(PyObject* object) noexcept {
  PyObject_GC_UnTrack(object);
  wrapper_clear(object);
  Py_TYPE(object)->tp_free(object);
}

// A part that the application may replace and delete, as in an object of a class written in Python.
struct Part {
  PyObject* FileWrapper::*member;
  const char* name;
};
constexpr Part file_part{&FileWrapper::file, "filelike"}, block_size_part{&FileWrapper::block_size, "blksize"};

Ref part_of(PyObject* object, const Part& part) noexcept {
  PyObject* const value = as_wrapper(object)->*part.member;
  if (value == nullptr) PyErr_SetString(PyExc_AttributeError, part.name);
  return Ref::to(value);
}

PyObject* get_part(PyObject* object, void* part) noexcept {
  return part_of(object, *static_cast<const Part*>(part)).release();
}
int set_part(PyObject* object, PyObject* value, void* part) noexcept {
  Ref before(std::exchange(as_wrapper(object)->*static_cast<const Part*>(part)->member, Py_XNewRef(value)));
  return 0;
}

// The next block; null without an exception at the end.
PyObject* wrapper_next(PyObject* object) noexcept {
  as_wrapper(object)->iterated = true;
  Ref block = read_block(object, -1);
  const int more = block ? PyObject_IsTrue(block.get()) : -1;
  return more == 1 ? block.release() : nullptr;
}

// Gunicorn's wrapper is iterated by this alone, so the index only counts: each call reads the next block.
PyObject* wrapper_item(PyObject* object, PyObject*) noexcept {
  PyObject* const block = wrapper_next(object);
  if (block == nullptr && PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_IndexError);
  return block;
}

// A subclass may have a [] of its own, as Gunicorn's wrapper has: then that one gives the blocks.
PyObject* wrapper_iter(PyObject* object) noexcept {
  const bool is_ours = Py_TYPE(object)->tp_as_mapping->mp_subscript == wrapper_item;
  return is_ours ? Py_NewRef(object) : PySeqIter_New(object);
}

// PEP 3333: its close() calls the file's. A file-like object without close() need not be closed.
PyObject* wrapper_close(PyObject* object, PyObject*) noexcept {
  const Ref file = part_of(object, file_part);
  const Ref close(file ? PyObject_GetAttrString(file.get(), "close") : nullptr);
  if (close) return PyObject_CallNoArgs(close.get());
  if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return nullptr;
  PyErr_Clear();
  return Py_NewRef(Py_None);
}

PyMethodDef wrapper_methods[] = {{"close", wrapper_close, METH_NOARGS, "close(): the file's own"},
                                 {nullptr, nullptr, 0, nullptr}};
PyGetSetDef wrapper_values[] = {
    {"filelike", get_part, set_part, "the file", const_cast<Part*>(&file_part)},
    {"blksize", get_part, set_part, "how much is read at a time", const_cast<Part*>(&block_size_part)},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMappingMethods wrapper_mapping = {nullptr, wrapper_item, nullptr};

PyTypeObject wrapper_type = [] {
  PyTypeObject type = plain_type("narwhal.FileWrapper", sizeof(FileWrapper),
                                 "A file as a response: a regular file is sent by sendfile(2).");
  type.tp_dealloc = wrapper_free;
  type.tp_flags |= Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE;
  type.tp_traverse = wrapper_traverse;
  type.tp_clear = wrapper_clear;
  type.tp_new = wrapper_new;
  type.tp_iter = wrapper_iter;
  type.tp_iternext = wrapper_next;
  type.tp_as_mapping = &wrapper_mapping;
  type.tp_methods = wrapper_methods;
  type.tp_getset = wrapper_values;
  type.tp_dictoffset = offsetof(FileWrapper, attributes);
  return type;
}();

// The types of Python's module io whose read() gives a file's own bytes. They live as long as the process.
PyObject *file_io = nullptr, *buffered_reader = nullptr, *buffered_random = nullptr;

bool has_type(PyObject* object, PyObject* type) noexcept {
  return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type;
}

// What read() gives need not be what the descriptor gives: of a gzip.GzipFile, of a subclass with a read() of its own,
// of a reader over another reader. So the types must be exact, and `read` must not be replaced in the object.
bool is_plain_file(PyObject* file) noexcept {
  if (has_type(file, buffered_reader) || has_type(file, buffered_random)) {
    const Ref raw(PyObject_GetAttrString(file, "raw"));
    if (!raw || !has_type(raw.get(), file_io)) return false;
  } else if (!has_type(file, file_io)) {
    return false;
  }
  const Ref read(PyObject_GetAttrString(file, "read"));
  return read && PyCFunction_CheckExact(read.get()) && PyCFunction_GET_SELF(read.get()) == file;
}

// The position of the file object: a buffered one has read ahead, so the descriptor's is another. -1: none.
std::int64_t position_of(PyObject* file) noexcept {
  const Ref flushed(PyObject_CallMethod(file, "flush", nullptr));
  const Ref position(flushed ? PyObject_CallMethod(file, "tell", nullptr) : nullptr);
  return position ? PyLong_AsLongLong(position.get()) : -1;
}

bool find_part_of(PyObject* file, FilePart& part) noexcept {
  if (!is_plain_file(file)) return false;
  part.offset = position_of(file);
  part.descriptor = part.offset < 0 ? -1 : PyObject_AsFileDescriptor(file);
  struct stat facts {};
  if (part.descriptor < 0 || ::fstat(part.descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
  const int flags = ::fcntl(part.descriptor, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0) return false;
  part.size = facts.st_size - part.offset;
  // Files in /proc and /sys have more or fewer bytes than their size says, and no blocks.
  return facts.st_blocks > 0 && part.size > 0;
}

}  // namespace

bool prepare_file_wrapper_type() noexcept {
  const Ref io(PyImport_ImportModule("io"));
  if (!io) return false;
  if (file_io == nullptr) file_io = PyObject_GetAttrString(io.get(), "FileIO");
  if (buffered_reader == nullptr) buffered_reader = PyObject_GetAttrString(io.get(), "BufferedReader");
  if (buffered_random == nullptr) buffered_random = PyObject_GetAttrString(io.get(), "BufferedRandom");
  return file_io != nullptr && buffered_reader != nullptr && buffered_random != nullptr &&
         PyType_Ready(&wrapper_type) == 0;
}

PyObject* file_wrapper_type() noexcept { return reinterpret_cast<PyObject*>(&wrapper_type); }

bool is_whole_file(PyObject* object) noexcept {
  return Py_IS_TYPE(object, &wrapper_type) && !as_wrapper(object)->iterated;
}

void read_all_files() noexcept { may_send_files = false; }

bool find_part(PyObject* wrapper, FilePart& part) noexcept {
  if (!may_send_files) return false;
  const Ref file = part_of(wrapper, file_part);
  const bool found = file && find_part_of(file.get(), part);
  if (!found) PyErr_Clear();  // if it cannot be read either, read() says so
  return found;
}

Ref read_block(PyObject* wrapper, std::int64_t most) noexcept {
  const Ref file = part_of(wrapper, file_part);
  Ref size = file ? part_of(wrapper, block_size_part) : Ref();
  if (!size) return Ref();
  if (most >= 0) {
    const long long block = PyLong_Check(size.get()) ? PyLong_AsLongLong(size.get()) : -1;
    if (block == -1) PyErr_Clear();
    if (block < 0 || block > most) size.reset(PyLong_FromLongLong(most));
    if (!size) return Ref();
  }
  return Ref(PyObject_CallMethod(file.get(), "read", "O", size.get()));
}

}  // namespace narwhal::wsgi
