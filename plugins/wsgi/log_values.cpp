#include "plugins/wsgi/log_values.hpp"

#include <string>
#include <vector>

namespace narwhal::wsgi {

namespace {

std::vector<std::string> logged_names;

// By its name as it is written, else in upper case: Gunicorn's atoms may be written in any case.
PyObject* find(PyObject* environ, const std::string& name) noexcept try {
  if (PyObject* const found = PyDict_GetItemString(environ, name.c_str())) return found;
  std::string upper = name;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return PyDict_GetItemString(environ, upper.c_str());
} catch (...) {
  return nullptr;
}

// A text from the wire has one character for each byte. One that the application made is any text.
PyObject* bytes_of_text(PyObject* text) noexcept {
  Ref raw(PyUnicode_AsLatin1String(text));
  if (!raw) {
    PyErr_Clear();
    return PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
  }
  const Ref valid(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(raw.get()), PyBytes_GET_SIZE(raw.get()), "strict"));
  if (valid) return raw.release();
  PyErr_Clear();
  return PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
}

void log_value(const std::string& name, PyObject* value, narwhal_exchange* exchange) noexcept {
  const Ref text(PyUnicode_Check(value) ? Py_NewRef(value) : PyObject_Str(value));
  const Ref bytes(text ? bytes_of_text(text.get()) : nullptr);
  if (!bytes) return PyErr_Clear();
  host->log_value(exchange, bytes_of(name), bytes_of(view_of_bytes(bytes.get())));
}

}  // namespace

void set_logged_names(std::string_view names) {
  logged_names.clear();
  while (!names.empty()) {
    const std::size_t comma = names.find(',');
    logged_names.emplace_back(names.substr(0, comma));
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
}

void log_environ(PyObject* environ, narwhal_exchange* exchange) noexcept {
  if (logged_names.empty()) return;
  for (const std::string& name : logged_names) {
    // Strong: str() of a value may change the environ.
    const Ref value(Py_XNewRef(find(environ, name)));
    if (value) log_value(name, value.get(), exchange);
  }
}

}  // namespace narwhal::wsgi
