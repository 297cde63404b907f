#include "plugins/wsgi/application.hpp"

#include <set>

#include "plugins/wsgi/forked.hpp"
#include "plugins/wsgi/scripts.hpp"

namespace narwhal::wsgi {

namespace {

bool are_modules_watched = true;  // until the server answers that it need not know more

// After a failed import: names the files whose change may fix it, which watch_modules() does not see because the module
// was not loaded, so that the server tries again. Also cuts our own frames off the traceback.
void prepare_failure(PyObject* files_that_may_fix, PyObject* applications_part) noexcept {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  const Ref files(PyObject_CallFunctionObjArgs(files_that_may_fix, value, nullptr));
  for (Py_ssize_t at = 0; files && at < PyList_GET_SIZE(files.get()); ++at) {
    const char* const path = PyUnicode_AsUTF8(PyList_GET_ITEM(files.get(), at));
    if (path != nullptr && host->watch(bytes_of(path)) == NARWHAL_STATE) break;
  }
  if (trace != nullptr) {
    if (PyObject* const part = PyObject_CallFunctionObjArgs(applications_part, trace, nullptr)) Py_SETREF(trace, part);
    if (trace == Py_None) Py_CLEAR(trace);
    PyException_SetTraceback(value, trace != nullptr ? trace : Py_None);
    PyErr_Clear();
  }
  PyErr_Restore(type, value, trace);
}

// `step` receives what failed: "import shop" or "call make_app()".
PyObject* call_loader(const std::string& name, std::string& step) {
  const Ref globals(run_script(application_script, "<narwhal: load the application>"));
  if (!globals) return nullptr;
  PyObject* const found = PyObject_CallFunction(PyDict_GetItemString(globals.get(), "find"), "s", name.c_str());
  end_if_forked();
  if (found == nullptr) {
    PyObject* const doing = PyDict_GetItemString(globals.get(), "step");
    const char* const text = doing != nullptr && PyUnicode_Check(doing) ? PyUnicode_AsUTF8(doing) : nullptr;
    if (text != nullptr) step = text;
    prepare_failure(PyDict_GetItemString(globals.get(), "files_that_may_fix"),
                    PyDict_GetItemString(globals.get(), "applications_part"));
  }
  return found;
}

}  // namespace

Loaded load_application(const std::string& name) {
  std::string step = "import " + name.substr(0, name.find(':'));
  Ref found(call_loader(name, step));
  if (!found) {
    std::string reason = step + ": " + exception_line();
    log_exception(NARWHAL_LOG_ERROR, "Exception in worker process");
    return {Ref(), std::move(reason), false};
  }
  if (PyUnicode_Check(found.get())) {
    const char* text = PyUnicode_AsUTF8(found.get());
    return {Ref(), text != nullptr ? text : "no application found", true};
  }
  return {std::move(found), {}, true};
}

void watch_modules() noexcept try {
  static Py_ssize_t seen = 0;
  static std::set<std::string> named;
  if (!are_modules_watched) return;
  PyObject* const modules = PyImport_GetModuleDict();
  if (modules == nullptr || PyDict_Size(modules) == seen) return;
  seen = PyDict_Size(modules);
  PyObject *key = nullptr, *module = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(modules, &at, &key, &module) != 0;) {
    if (!PyModule_Check(module)) continue;
    PyObject* const file = PyDict_GetItemString(PyModule_GetDict(module), "__file__");
    const char* const path = file != nullptr && PyUnicode_Check(file) ? PyUnicode_AsUTF8(file) : nullptr;
    if (path == nullptr) {
      PyErr_Clear();
    } else if (named.insert(path).second && host->watch(bytes_of(path)) == NARWHAL_STATE) {
      are_modules_watched = false;
      named.clear();
      return;
    }
  }
} catch (...) {
  // Out of memory: files are missing from the watch until the next call.
}

}  // namespace narwhal::wsgi
