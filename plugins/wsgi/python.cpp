#include "plugins/wsgi/python.hpp"

#include <algorithm>
#include <cstdio>

namespace narwhal::wsgi {

namespace {

struct Exception {
  Ref type, value, traceback;
};

// The exception that is set; clears it.
Exception take_exception() noexcept {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr && value != nullptr) PyException_SetTraceback(value, traceback);
  return {Ref(type), Ref(value), Ref(traceback)};
}

PyObject* or_none(const Ref& ref) noexcept { return ref ? ref.get() : Py_None; }

PyObject* traceback_module = nullptr;

Ref traceback() noexcept {
  return traceback_module != nullptr ? Ref::to(traceback_module) : Ref(PyImport_ImportModule("traceback"));
}

// The lines that `function` of the module traceback returns, joined, as bytes. Null when that fails.
Ref formatted(const Exception& exception, const char* function, bool with_traceback) noexcept {
  const Ref module = traceback();
  Ref lines;
  if (module && with_traceback) {
    lines.reset(PyObject_CallMethod(module.get(), function, "OOO", or_none(exception.type), or_none(exception.value),
                                    or_none(exception.traceback)));
  } else if (module) {
    lines.reset(PyObject_CallMethod(module.get(), function, "OO", or_none(exception.type), or_none(exception.value)));
  }
  const Ref nothing(PyUnicode_FromString(""));
  const Ref text(lines && nothing ? PyUnicode_Join(nothing.get(), lines.get()) : nullptr);
  // A message may have surrogates, which stand for bytes and are not valid Unicode.
  Ref bytes(text ? PyUnicode_AsEncodedString(text.get(), "utf-8", "backslashreplace") : nullptr);
  PyErr_Clear();
  return bytes;
}

// For an exception that cannot be formatted, for lack of memory as a rule: its type only.
void log_kind(int level, std::string_view line, const Exception& exception) noexcept {
  char text[1200];
  const char* const kind = exception.type ? reinterpret_cast<PyTypeObject*>(exception.type.get())->tp_name : "failed";
  const int size = std::snprintf(text, sizeof text, "%.*s: %s (its traceback cannot be formatted)",
                                 static_cast<int>(std::min<std::size_t>(line.size(), 1100)), line.data(), kind);
  host->log(level, {text, static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof text) - 1))});
}

}  // namespace

PyTypeObject plain_type(const char* name, Py_ssize_t size, const char* doc) noexcept {
  PyTypeObject type{};
  Py_SET_REFCNT(reinterpret_cast<PyObject*>(&type), 1);
  type.tp_name = name;
  type.tp_basicsize = size;
  type.tp_dealloc = [](PyObject* self) { PyObject_Free(self); };
  type.tp_flags = Py_TPFLAGS_DEFAULT;
  type.tp_doc = doc;
  return type;
}

void prepare_tracebacks() noexcept {
  if (traceback_module == nullptr) traceback_module = PyImport_ImportModule("traceback");
  PyErr_Clear();  // a failure is not an error: the import is tried again when an exception is to be logged
}

void log_line(int level, std::string_view line) noexcept { host->log(level, bytes_of(line)); }

void log_exception(int level, std::string_view line) noexcept {
  const Exception exception = take_exception();
  const Ref text = formatted(exception, "format_exception", true);
  if (!text) return log_kind(level, line, exception);
  host->log_text(level, bytes_of(line), bytes_of(view_of_bytes(text.get())));
}

std::string exception_line() {
  Exception exception = take_exception();
  const Ref bytes = formatted(exception, "format_exception_only", false);
  PyErr_Restore(exception.type.release(), exception.value.release(), exception.traceback.release());
  std::string text(bytes ? view_of_bytes(bytes.get()) : std::string_view("an exception that cannot be formatted"));
  while (text.ends_with('\n')) text.pop_back();
  // A SyntaxError has several lines: the file and the line come first, the message comes last.
  if (const auto last = text.rfind('\n'); last != std::string::npos) {
    const auto first_end = text.find('\n');
    const auto begin = text.find_first_not_of(' ');
    text = text.substr(last + 1) + " (" + text.substr(begin, first_end - begin) + ")";
  }
  return text;
}

}  // namespace narwhal::wsgi
