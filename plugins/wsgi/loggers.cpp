#include "plugins/wsgi/loggers.hpp"

#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

namespace {

// Lines as the server writes its own.
constexpr const char* source = R"py(
import logging


def prepare(errors, level):
    logger = logging.getLogger("gunicorn.error")
    if not logger.handlers:
        handler = logging.StreamHandler(errors)
        handler.setFormatter(logging.Formatter("%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
                                               "[%Y-%m-%d %H:%M:%S %z]"))
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
)py";

}  // namespace

bool prepare_loggers(const std::string& level) noexcept {
  const Ref code(Py_CompileString(source, "<narwhal: loggers>", Py_file_input));
  const Ref globals(PyDict_New());
  if (!code || !globals) return false;
  if (PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()) != 0) return false;
  const Ref done(PyEval_EvalCode(code.get(), globals.get(), globals.get()));
  const Ref errors(done ? make_errors() : nullptr);
  if (!errors) return false;
  const Ref upper(PyUnicode_FromString(level.empty() ? "info" : level.c_str()));
  const Ref name(upper ? PyObject_CallMethod(upper.get(), "upper", nullptr) : nullptr);
  const Ref prepared(name ? PyObject_CallFunctionObjArgs(PyDict_GetItemString(globals.get(), "prepare"), errors.get(),
                                                         name.get(), nullptr)
                          : nullptr);
  return static_cast<bool>(prepared);
}

}  // namespace narwhal::wsgi
