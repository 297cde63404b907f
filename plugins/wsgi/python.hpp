// What every source of the plugin needs: CPython's header, owned references, the server's table of functions, and the
// logging of exceptions.
// Threads  the caller holds the GIL, except where it says otherwise.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <narwhal/plugin.h>

#include <string>
#include <string_view>
#include <utility>

#if PY_VERSION_HEX < 0x03090000 || PY_VERSION_HEX >= 0x030E0000 || defined(Py_GIL_DISABLED)
#error "this version of Python has not been tried: 3.9 to 3.13, with the GIL"
#endif
#if PY_VERSION_HEX < 0x030A0000
inline PyObject* Py_XNewRef(PyObject* object) {
  Py_XINCREF(object);
  return object;
}
inline PyObject* Py_NewRef(PyObject* object) { return Py_XNewRef(object); }
#endif

namespace narwhal::wsgi {

extern const narwhal_host* host;  // plugin.cpp; set before anything else runs

// Owns one reference; null owns nothing. As everywhere in CPython's interface, a null result means that an exception is
// set.
class Ref {
 public:
  Ref() noexcept = default;
  explicit Ref(PyObject* owned) noexcept : object_(owned) {}
  static Ref to(PyObject* borrowed) noexcept { return Ref(Py_XNewRef(borrowed)); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    reset(std::exchange(other.object_, nullptr));
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const noexcept { return object_; }
  PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  void reset(PyObject* owned = nullptr) noexcept { Py_XDECREF(std::exchange(object_, owned)); }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

inline narwhal_bytes bytes_of(std::string_view text) noexcept { return {text.data(), text.size()}; }
inline std::string_view view_of(narwhal_bytes bytes) noexcept { return {bytes.data, bytes.size}; }

inline std::string_view view_of_bytes(PyObject* bytes) noexcept {
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

// PEP 3333's "bytes as str": a string whose code points are the bytes. Null data: the string has other code points.
inline std::string_view latin1_view(PyObject* text) noexcept {
  if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) return {};
  return {static_cast<const char*>(PyUnicode_DATA(text)), static_cast<std::size_t>(PyUnicode_GET_LENGTH(text))};
}
inline PyObject* latin1_text(std::string_view bytes) noexcept {
  return PyUnicode_DecodeLatin1(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr);
}

// What all our types have in common; PyType_Ready() does the rest.
PyTypeObject plain_type(const char* name, Py_ssize_t size, const char* doc) noexcept;

// Imports the module traceback before anything is served. The first exception may be a MemoryError, and an import
// without memory may never end (importlib takes its locks in a loop).
void prepare_tracebacks() noexcept;

// Writes a line to the server's error log. Any thread, without the GIL too.
void log_line(int level, std::string_view line) noexcept;
// Writes `line` and, below it, the traceback of the exception that is set; clears the exception.
void log_exception(int level, std::string_view line) noexcept;
// The exception that is set, in one line: "ModuleNotFoundError: No module named 'x'". It stays set.
std::string exception_line();

// Lets other threads run Python while this one waits.
class WithoutGil {
 public:
  WithoutGil() noexcept : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { PyEval_RestoreThread(state_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace narwhal::wsgi
