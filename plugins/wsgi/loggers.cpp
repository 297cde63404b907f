#include "plugins/wsgi/loggers.hpp"

#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/scripts.hpp"

namespace narwhal::wsgi {

bool prepare_loggers(const std::string& level) noexcept {
  const Ref globals(run_script(loggers_script, "<narwhal: loggers>"));
  const Ref errors(globals ? make_errors() : nullptr);
  if (!errors) return false;
  const Ref upper(PyUnicode_FromString(level.empty() ? "info" : level.c_str()));
  const Ref name(upper ? PyObject_CallMethod(upper.get(), "upper", nullptr) : nullptr);
  const Ref prepared(name ? PyObject_CallFunctionObjArgs(PyDict_GetItemString(globals.get(), "prepare"), errors.get(),
                                                         name.get(), nullptr)
                          : nullptr);
  return static_cast<bool>(prepared);
}

}  // namespace narwhal::wsgi
