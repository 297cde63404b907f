#include "plugins/wsgi/headers.hpp"

#include <strings.h>

#include <charconv>

namespace narwhal::wsgi {

namespace {

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_content_length(std::string_view name) noexcept {
  constexpr std::string_view wanted = "content-length";
  return name.size() == wanted.size() && ::strncasecmp(name.data(), wanted.data(), wanted.size()) == 0;
}

// Null data, and an exception, when it is not a str or has a character that no header may have.
std::string_view header_text(PyObject* text, const char* what) noexcept {
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "header %s must be str, not %s: %R", what, Py_TYPE(text)->tp_name, text);
    return {};
  }
  if (PyUnicode_READY(text) != 0) return {};
  const std::string_view view = latin1_view(text);
  if (view.data() == nullptr)
    PyErr_Format(PyExc_ValueError, "header %s has a character outside of latin-1: %R", what, text);
  return view;
}

}  // namespace

bool HeaderFields::take(PyObject* headers) noexcept try {
  clear();
  const Ref list(PySequence_Fast(headers, "headers must be a list of (name, value) tuples"));
  if (!list) return false;
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(list.get());
  for (Py_ssize_t index = 0; index < count; ++index) {
    if (!take_pair(PySequence_Fast_GET_ITEM(list.get(), index))) {
      clear();
      return false;
    }
  }
  return true;
} catch (...) {
  clear();
  PyErr_NoMemory();
  return false;
}

bool HeaderFields::take_pair(PyObject* pair) {
  // Any sequence of two is accepted, because Gunicorn unpacks it without looking at its type.
  Ref tuple(PyTuple_Check(pair) ? Py_NewRef(pair) : PySequence_Tuple(pair));
  if (!tuple || PyTuple_GET_SIZE(tuple.get()) != 2) {
    PyErr_Format(PyExc_TypeError, "a header must be a tuple (name, value): %R", pair);
    return false;
  }
  const std::string_view name = header_text(PyTuple_GET_ITEM(tuple.get(), 0), "name");
  if (name.data() == nullptr) return false;
  std::string_view value = header_text(PyTuple_GET_ITEM(tuple.get(), 1), "value");
  if (value.data() == nullptr) return false;
  value = trimmed(value);
  if (is_content_length(name)) {
    std::int64_t length = 0;
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, length);
    if (error != std::errc() || stop != end || length < 0) {
      PyErr_Format(PyExc_ValueError, "Content-Length must be a number of bytes, not %R",
                   PyTuple_GET_ITEM(tuple.get(), 1));
      return false;
    }
    content_length_ = length;
  }
  pairs_.push_back(nullptr);
  pairs_.back() = tuple.release();
  fields_.push_back({bytes_of(name), bytes_of(value)});
  return true;
}

void HeaderFields::clear() noexcept {
  for (PyObject* const pair : pairs_) Py_XDECREF(pair);
  pairs_.clear();
  fields_.clear();
  content_length_ = -1;
}

}  // namespace narwhal::wsgi
