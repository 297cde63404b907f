#include "plugins/wsgi/application.hpp"

#include <set>

#include "plugins/wsgi/forked.hpp"

namespace narwhal::wsgi {

namespace {

bool are_modules_watched = true;  // until the server says that it does not

// Runs once, at boot. Returns the application, or a text that says why what was imported holds none.
constexpr const char* loader_source = R"py(
import ast
import importlib
import os
import sys
import types


def arguments_of(call):
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        return positional, {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        return None


def import_module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        if name.endswith(".py") and os.path.exists(name):
            raise ImportError(f"no module {name!r}: did you mean '{name[:-3]}:app'?") from None
        raise


def is_coroutine_function(found):
    function = found.__func__ if type(found) is types.MethodType else found
    return type(function) is types.FunctionType and function.__code__.co_flags & 0x80 != 0  # inspect.CO_COROUTINE


def find(name):
    module_name, _, expression = name.partition(":")
    module = import_module(module_name)
    expression = expression or "application"
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        return f"Failed to parse {expression!r} as an attribute name or function call."
    call = tree if isinstance(tree, ast.Call) else None
    target = tree.func if call else tree
    if not isinstance(target, ast.Name):
        return f"{'Function reference' if call else 'Attribute name or function call'} expected: {expression!r}"
    try:
        found = getattr(module, target.id)
    except AttributeError:
        return f"Failed to find attribute {target.id!r} in {module_name!r}."
    if call:
        arguments = arguments_of(call)
        if arguments is None:
            return f"Failed to parse arguments as literal values: {expression!r}"
        found = found(*arguments[0], **arguments[1])
    if found is None:
        return f"Failed to find application object: {expression!r}"
    if not callable(found):
        return "Application object must be callable."
    if is_coroutine_function(found) or is_coroutine_function(type(found).__call__):
        return "Application object is a coroutine function, which is ASGI's way: only WSGI applications are served."
    return found


def applications_part(trace):
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(("<narwhal", "<frozen importlib")) and file != importlib.__file__:
            break
        trace = trace.tb_next
    return trace


def files_that_may_mend(error):
    files = []
    while error is not None and len(files) < 10000:
        trace = error.__traceback__
        while trace is not None:
            files.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            files.append(error.filename)
        if isinstance(error, ModuleNotFoundError) and error.name:
            part = error.name.replace(".", "/")
            files += [f"{folder}/{part}{ending}" for folder in sys.path for ending in (".py", "/__init__.py")]
        error = error.__cause__ or error.__context__
    return files
)py";

// What could not be imported is no loaded module: its files are named here, and those that were looked for in vain, so
// that the server tries again when one of them is mended. And its traceback begins where the application does.
void prepare_failure(PyObject* files_that_may_mend, PyObject* applications_part) noexcept {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  const Ref files(PyObject_CallFunctionObjArgs(files_that_may_mend, value, nullptr));
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

PyObject* call_loader(const std::string& name) {
  const Ref code(Py_CompileString(loader_source, "<narwhal: load the application>", Py_file_input));
  const Ref globals(PyDict_New());
  if (!code || !globals) return nullptr;
  if (PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins()) != 0) return nullptr;
  const Ref done(PyEval_EvalCode(code.get(), globals.get(), globals.get()));
  if (!done) return nullptr;
  PyObject* const found = PyObject_CallFunction(PyDict_GetItemString(globals.get(), "find"), "s", name.c_str());
  end_if_forked();
  if (found == nullptr) {
    prepare_failure(PyDict_GetItemString(globals.get(), "files_that_may_mend"),
                    PyDict_GetItemString(globals.get(), "applications_part"));
  }
  return found;
}

// A .pyc is told from its source by size and whole seconds: a second save within one, of the same length, would load the
// first's.
void keep_no_bytecode_of_what_changes() noexcept {
  watch_modules();
  if (are_modules_watched) PySys_SetObject("dont_write_bytecode", Py_True);
}

}  // namespace

Loaded load_application(const std::string& name) {
  keep_no_bytecode_of_what_changes();
  Ref found(call_loader(name));
  if (!found) {
    std::string reason = "import " + name.substr(0, name.find(':')) + ": " + exception_line();
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
  static std::set<std::string> told;
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
    } else if (told.insert(path).second && host->watch(bytes_of(path)) == NARWHAL_STATE) {
      are_modules_watched = false;
      told.clear();
      return;
    }
  }
} catch (...) {
  // Out of memory while only looking: the next look may do better.
}

}  // namespace narwhal::wsgi
