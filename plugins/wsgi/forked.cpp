#include "plugins/wsgi/forked.hpp"

#include <pthread.h>
#include <unistd.h>

#include "plugins/wsgi/interpreter.hpp"
#include "plugins/wsgi/python.hpp"
#include "plugins/wsgi/scripts.hpp"

namespace narwhal::wsgi {

bool is_forked_child = false;

namespace {

// The exit status of sys.exit(code), as Python computes it.
int exit_status(PyObject* code) noexcept {
  if (code == Py_None) return 0;
  if (PyLong_Check(code)) {
    int overflow = 0;
    return static_cast<int>(PyLong_AsLongAndOverflow(code, &overflow));
  }
  PySys_FormatStderr("%S\n", code);
  return 1;
}

int end_by_exception() noexcept {
  if (PyErr_ExceptionMatches(PyExc_SystemExit) == 0) {
    log_exception(NARWHAL_LOG_ERROR, "Exception in a process that the application has forked");
    return 1;
  }
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  const Ref code(value != nullptr ? PyObject_GetAttrString(value, "code") : nullptr);
  return code ? exit_status(code.get()) : 1;
}

}  // namespace

void watch_for_forks() noexcept {
  static const int watched = ::pthread_atfork(nullptr, nullptr, [] { is_forked_child = !is_forking_a_worker(); });
  if (watched != 0) {
    log_line(NARWHAL_LOG_WARNING, "pthread_atfork failed: processes that the application forks are taken for workers");
  }
  // For all workers that are forked from here; what it has registered is never freed.
  static const bool is_registered = run_script(forked_script, "<narwhal: forks>") != nullptr;
  if (!is_registered) PyErr_Clear();
}

void end_forked_child() noexcept {
  int status = 0;
  if (PyErr_Occurred() != nullptr) {
    status = end_by_exception();
  } else {
    log_line(
        NARWHAL_LOG_WARNING,
        "A process that the application has forked returned to the server and is ended: end it in the application, "
        "by os._exit() or sys.exit()");
  }
  PyErr_Clear();
  end_python_of_a_copy();
  ::_exit(status);
}

}  // namespace narwhal::wsgi
