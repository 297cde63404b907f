#include "plugins/wsgi/loggers.hpp"

#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/scripts.hpp"

namespace narwhal::wsgi {

namespace {

// "INFO", for "info" or nothing.
PyObject* level_name(const std::string& level) noexcept {
  const Ref word(PyUnicode_FromString(level.empty() ? "info" : level.c_str()));
  return word ? PyObject_CallMethod(word.get(), "upper", nullptr) : nullptr;
}

}  // namespace

bool configure_loggers(const std::string& level, const std::string& settings) noexcept {
  const Ref globals(run_script(process_loggers_script, "<narwhal: loggers>"));
  const Ref write(globals ? make_log_writer() : nullptr);
  const Ref name(write ? level_name(level) : nullptr);
  const Ref text(name ? PyUnicode_DecodeFSDefault(settings.c_str()) : nullptr);
  if (!text) return false;
  const Ref done(PyObject_CallFunctionObjArgs(PyDict_GetItemString(globals.get(), "prepare"), write.get(), name.get(),
                                              text.get(), nullptr));
  return static_cast<bool>(done);
}

bool prepare_loggers(const std::string& level) noexcept {
  const Ref globals(run_script(loggers_script, "<narwhal: loggers>"));
  const Ref errors(globals ? make_errors() : nullptr);
  if (!errors) return false;
  const Ref name(level_name(level));
  const Ref prepared(name ? PyObject_CallFunctionObjArgs(PyDict_GetItemString(globals.get(), "prepare"), errors.get(),
                                                         name.get(), nullptr)
                          : nullptr);
  return static_cast<bool>(prepared);
}

}  // namespace narwhal::wsgi
