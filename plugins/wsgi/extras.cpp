#include "plugins/wsgi/extras.hpp"

#include "plugins/wsgi/headers.hpp"

namespace narwhal::wsgi {

namespace {

thread_local narwhal_exchange* current_exchange = nullptr;

// ---- wsgi.errors ----

struct Errors {
  PyObject_HEAD
};

// print() writes a line in pieces. A line without its end waits, in each thread, for the end, for flush(), or for the
// end of the request or the thread.
class BegunLine {
 public:
  ~BegunLine() { end(); }
  void write(std::string_view text) noexcept {
    const auto newline = text.rfind('\n');
    const std::size_t whole = newline == std::string_view::npos ? 0 : newline + 1;
    if (whole != 0) end(text.substr(0, whole));
    keep(text.substr(whole));
  }
  // Writes the line, with its `rest`.
  void end(std::string_view rest = {}) noexcept try {
    if (begun_.empty()) {
      if (!rest.empty()) put(rest);
      return;
    }
    begun_ += rest;
    put(begun_);
    begun_.clear();
  } catch (...) {
    put(begun_);
    put(rest);
    begun_.clear();
  }

 private:
  static constexpr std::size_t kept_max = 32 * 1024;

  static void put(std::string_view text) noexcept { host->log_text(NARWHAL_LOG_ERROR, {nullptr, 0}, bytes_of(text)); }
  void keep(std::string_view text) noexcept try {
    if (begun_.size() + text.size() > kept_max) return end(text);
    begun_ += text;
  } catch (...) {
    end();
    put(text);
  }

  std::string begun_;
};

BegunLine& begun_line() noexcept {
  thread_local BegunLine line;
  return line;
}
thread_local bool has_begun_line = false;  // cheaper to read than begun_line(), which has a destructor

void end_begun_line() noexcept {
  if (std::exchange(has_begun_line, false)) begun_line().end();
}

PyObject* errors_write(PyObject*, PyObject* text) noexcept {
  if (!PyUnicode_Check(text))
    return PyErr_Format(PyExc_TypeError, "write() argument must be str, not %s", Py_TYPE(text)->tp_name), nullptr;
  const Ref bytes(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!bytes) return nullptr;
  const std::string_view view = view_of_bytes(bytes.get());
  begun_line().write(view);
  has_begun_line = true;
  return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

PyObject* errors_writelines(PyObject* self, PyObject* lines) noexcept {
  const Ref iterator(PyObject_GetIter(lines));
  if (!iterator) return nullptr;
  while (const Ref line{PyIter_Next(iterator.get())}) {
    const Ref written(errors_write(self, line.get()));
    if (!written) return nullptr;
  }
  return PyErr_Occurred() != nullptr ? nullptr : Py_NewRef(Py_None);
}

PyObject* errors_flush(PyObject*, PyObject*) noexcept {
  end_begun_line();
  return Py_NewRef(Py_None);
}

PyObject* errors_isatty(PyObject*, PyObject*) noexcept { return Py_NewRef(Py_False); }
PyObject* errors_encoding(PyObject*, void*) noexcept { return PyUnicode_FromString("utf-8"); }
PyObject* errors_closed(PyObject*, void*) noexcept { return Py_NewRef(Py_False); }

PyMethodDef errors_methods[] = {{"write", errors_write, METH_O, "write(text): writes text to the server's error log"},
                                {"writelines", errors_writelines, METH_O, "writelines(texts)"},
                                {"flush", errors_flush, METH_NOARGS, "flush(): also writes a line that has no end yet"},
                                {"isatty", errors_isatty, METH_NOARGS, "isatty(): False"},
                                {nullptr, nullptr, 0, nullptr}};

PyGetSetDef errors_values[] = {{"encoding", errors_encoding, nullptr, nullptr, nullptr},
                               {"closed", errors_closed, nullptr, nullptr, nullptr},
                               {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyTypeObject errors_type = [] {
  PyTypeObject type = plain_type("narwhal.Errors", sizeof(Errors), "The server's error log: wsgi.errors.");
  type.tp_methods = errors_methods;
  type.tp_getset = errors_values;
  return type;
}();

// ---- lines of the error log ----

PyObject* write_log(PyObject*, PyObject* arguments) noexcept {
  int level = 0;
  PyObject *line = nullptr, *text = nullptr;
  if (PyArg_ParseTuple(arguments, "iUU", &level, &line, &text) == 0) return nullptr;
  const Ref line_bytes(PyUnicode_AsEncodedString(line, "utf-8", "backslashreplace"));
  const Ref text_bytes(line_bytes ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace") : nullptr);
  if (!text_bytes) return nullptr;
  const narwhal_bytes below = bytes_of(view_of_bytes(text_bytes.get()));
  if (below.size == 0) {
    host->log(level, bytes_of(view_of_bytes(line_bytes.get())));
  } else {
    host->log_text(level, bytes_of(view_of_bytes(line_bytes.get())), below);
  }
  return Py_NewRef(Py_None);
}

PyMethodDef write_log_method = {"write_log", write_log, METH_VARARGS, "write_log(level, line, text)"};

// ---- wsgi.early_hints ----

PyObject* send_early_hints(PyObject*, PyObject* headers) noexcept {
  HeaderFields fields;
  if (!fields.take(headers)) return nullptr;
  // Hints are optional: they are left out when this thread has no request, the answer has begun, or the client is slow.
  if (current_exchange != nullptr &&
      host->inform(current_exchange, 103, fields.data(), fields.count()) == NARWHAL_REFUSED) {
    return PyErr_SetString(PyExc_ValueError, "early hints have a field that may not go on the wire"), nullptr;
  }
  return Py_NewRef(Py_None);
}

PyMethodDef early_hints_method = {"early_hints", send_early_hints, METH_O,
                                  "early_hints(headers): sends 103 with them, before the response"};

}  // namespace

bool prepare_extra_types() noexcept { return PyType_Ready(&errors_type) == 0; }

PyObject* make_errors() noexcept { return reinterpret_cast<PyObject*>(PyObject_New(Errors, &errors_type)); }

PyObject* make_log_writer() noexcept { return PyCFunction_New(&write_log_method, nullptr); }

PyObject* make_early_hints() noexcept { return PyCFunction_New(&early_hints_method, nullptr); }

void set_current_exchange(narwhal_exchange* exchange) noexcept {
  current_exchange = exchange;
  if (exchange == nullptr) end_begun_line();
}

}  // namespace narwhal::wsgi
