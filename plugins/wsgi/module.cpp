// The plugin as an extension module: server/python_boot.py imports it in a new interpreter, which becomes the template.
#include <dlfcn.h>
#include <unistd.h>

#include "plugins/wsgi/interpreter.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {
namespace {

// run(library, seat, function): calls function(seat) of the library, without the GIL, and ends the process with what it
// returns.
PyObject* run(PyObject*, PyObject* arguments) noexcept {
  const char *library = nullptr, *function = nullptr;
  int seat = -1;
  if (PyArg_ParseTuple(arguments, "sis", &library, &seat, &function) == 0) return nullptr;
  void* const handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  void* const found = handle != nullptr ? ::dlsym(handle, function) : nullptr;
  if (found == nullptr) return PyErr_Format(PyExc_ImportError, "%s", ::dlerror());
  leave_interpreter();
  ::_exit(reinterpret_cast<int (*)(int)>(found)(seat));
}

PyMethodDef methods[] = {{"run", run, METH_VARARGS, "becomes a server's process"}, {nullptr, nullptr, 0, nullptr}};
PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "narwhal_wsgi", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace narwhal::wsgi

PyMODINIT_FUNC PyInit_narwhal_wsgi() { return PyModule_Create(&narwhal::wsgi::definition); }
