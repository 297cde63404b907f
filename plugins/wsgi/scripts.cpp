#include "plugins/wsgi/scripts.hpp"

namespace narwhal::wsgi {

PyObject* run_script(const char* script, const char* file_name) noexcept {
  const Ref code(Py_CompileString(script, file_name, Py_file_input));
  Ref globals(code ? PyDict_New() : nullptr);
  if (!globals) return nullptr;
  if (PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()) != 0) return nullptr;
  const Ref done(PyEval_EvalCode(code.get(), globals.get(), globals.get()));
  return done ? globals.release() : nullptr;
}

}  // namespace narwhal::wsgi
