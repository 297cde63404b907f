#include "plugins/wsgi/interpreter.hpp"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>

namespace narwhal::wsgi {

namespace {

PyThreadState* main_state = nullptr;              // the main thread's, while it does not hold the GIL
bool is_set_up = false;                           // for applications
bool shares_memory = false;                       // much of it, with the template
bool forking = false;                             // between before_fork() and the end of that fork
thread_local PyThreadState* own_state = nullptr;  // this thread's
thread_local unsigned attached = 0;               // the number of mounts that have attached this thread
std::atomic<unsigned> inside{0};                  // handlers that hold or wait for the GIL
int stacks_file = -1;                             // a file in memory, where faulthandler writes the stacks

int stacks_signal() noexcept { return SIGRTMIN + 4; }

bool put_in_front(PyObject* path, const std::string& folder) {
  const Ref text(PyUnicode_DecodeFSDefault(folder.c_str()));
  const int there = text ? PySequence_Contains(path, text.get()) : -1;
  return there == 1 || (there == 0 && PyList_Insert(path, 0, text.get()) == 0);
}

// As in Gunicorn: the folders of pythonpath come first, the last one foremost, then the working directory.
bool extend_path(const std::string& pythonpath) {
  PyObject* const path = PySys_GetObject("path");
  const std::unique_ptr<char, void (*)(void*)> here(::getcwd(nullptr, 0), std::free);
  if (path == nullptr || (here != nullptr && !put_in_front(path, here.get()))) return false;
  std::string_view rest = pythonpath;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string folder(rest.substr(0, comma));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    if (folder.empty()) continue;
    const std::unique_ptr<char, void (*)(void*)> whole(::realpath(folder.c_str(), nullptr), std::free);
    if (!put_in_front(path, whole != nullptr ? whole.get() : folder)) return false;
  }
  return true;
}

// At a crash, faulthandler writes Python's stack to the log, before the native one. It also handles the signal of
// log_all_stacks(), for which each process has a file of its own.
bool enable_fault_handler() {
  const Ref module(PyImport_ImportModule("faulthandler"));
  if (!module) return false;
  if (stacks_file >= 0) {  // of the template: faulthandler does not know that the fork has lost its handlers
    ::close(stacks_file);
    const Ref disabled(PyObject_CallMethod(module.get(), "disable", nullptr));
    const Ref unregistered(PyObject_CallMethod(module.get(), "unregister", "i", stacks_signal()));
    if (!disabled || !unregistered) return false;
  }
  stacks_file = ::memfd_create("narwhal-stacks", MFD_CLOEXEC);
  if (stacks_file < 0) return PyErr_SetFromErrno(PyExc_OSError) != nullptr;
  const Ref enabled(PyObject_CallMethod(module.get(), "enable", "i", host->log_descriptor()));
  const Ref registered(enabled ? PyObject_CallMethod(module.get(), "register", "ii", stacks_signal(), stacks_file)
                               : nullptr);
  return static_cast<bool>(registered);
}

// In a worker: multiprocessing would take the template's processes for its own, and fail to wait for them at the end.
void forget_processes_of_the_template() noexcept {
  const Ref name(PyUnicode_FromString("multiprocessing.process"));
  const Ref module(name ? PyImport_GetModule(name.get()) : nullptr);
  const Ref none(module ? PySet_New(nullptr) : nullptr);
  if (none) PyObject_SetAttrString(module.get(), "_children", none.get());
  PyErr_Clear();
}

// Returns the exception that is set as a text, clears it, and releases the GIL.
std::string failure_of(const char* step) {
  std::string fault = std::string(step) + ": " + exception_line();
  PyErr_Clear();
  leave_interpreter();
  return fault;
}

bool set_up(const std::string& pythonpath) {
  // Imported before the application's folder is in sys.path: a logging.py, string.py or ast.py there must not take the
  // place of Python's own, as it does not under Gunicorn.
  const Ref logging(PyImport_ImportModule("logging")), ast(PyImport_ImportModule("ast"));
  return logging && ast && extend_path(pythonpath) && enable_fault_handler();
}

}  // namespace

std::string enter_interpreter(const std::string& pythonpath) {
  if (forking) {  // in a new worker: this thread is the only one, and holds the GIL since before_fork()
    forking = false;
    PyOS_AfterFork_Child();
    forget_processes_of_the_template();
    return enable_fault_handler() ? std::string() : failure_of("set Python up in the worker");
  }
  if (main_state == nullptr)
    return "this plugin runs in a Python interpreter: name a Python application, not the plugin";
  PyEval_RestoreThread(std::exchange(main_state, nullptr));
  if (!std::exchange(is_set_up, true)) return set_up(pythonpath) ? std::string() : failure_of("set Python up");
  return extend_path(pythonpath) ? std::string() : failure_of("set sys.path up");
}

void leave_interpreter() noexcept { main_state = PyEval_SaveThread(); }

void before_fork() noexcept {
  if (forking || main_state == nullptr) return;
  forking = true;
  PyEval_RestoreThread(std::exchange(main_state, nullptr));
  PyOS_BeforeFork();
}

bool is_forking_a_worker() noexcept { return forking; }

void after_fork_in_template() noexcept {
  if (!forking) return;
  forking = false;
  PyOS_AfterFork_Parent();
  main_state = PyEval_SaveThread();
}

bool attach_thread() noexcept {
  if (attached++ != 0) return true;
  own_state = ::gettid() == ::getpid() ? main_state : PyThreadState_New(PyInterpreterState_Main());
  return own_state != nullptr;
}

void detach_thread() noexcept {
  if (--attached != 0 || ::gettid() == ::getpid()) return;
  PyEval_RestoreThread(own_state);
  PyThreadState_Clear(own_state);
  PyThreadState_DeleteCurrent();
}

Gil::Gil() noexcept {
  inside.fetch_add(1, std::memory_order_relaxed);
  PyEval_RestoreThread(own_state);
}
Gil::~Gil() {
  PyEval_SaveThread();
  inside.fetch_sub(1, std::memory_order_relaxed);
}

void log_all_stacks(std::int32_t level, std::string_view line) noexcept {
  if (stacks_file < 0 || ::ftruncate(stacks_file, 0) != 0 || ::lseek(stacks_file, 0, SEEK_SET) != 0) return;
  ::raise(stacks_signal());  // its handler has run when this returns
  struct stat facts {};
  if (::fstat(stacks_file, &facts) != 0 || facts.st_size <= 0) return;
  const auto size = static_cast<std::size_t>(facts.st_size);
  const std::unique_ptr<char, void (*)(void*)> text(static_cast<char*>(std::malloc(size)), std::free);
  if (text == nullptr || ::pread(stacks_file, text.get(), size, 0) != static_cast<ssize_t>(size)) return;
  host->log_text(level, bytes_of(line), {text.get(), size});
}

void freeze_collector() noexcept {
  shares_memory = true;
  const Ref module(PyImport_ImportModule("gc"));
  for (const char* step : {"collect", "freeze"}) {
    const Ref done(module ? PyObject_CallMethod(module.get(), step, nullptr) : nullptr);
  }
  PyErr_Clear();
}

bool enter_for_the_end() noexcept {
  // A thread that returns to an interpreter that has ended is ended by Python, in the middle of its work.
  if (main_state == nullptr || inside.load(std::memory_order_relaxed) != 0) return false;
  PyEval_RestoreThread(std::exchange(main_state, nullptr));
  return true;
}

void end_interpreter() noexcept {
  if (shares_memory) {
    end_python_of_a_copy();
  } else {
    Py_FinalizeEx();
  }
}

void end_python_of_a_copy() noexcept {
  constexpr const char* steps[][2] = {{"threading", "_shutdown"}, {"atexit", "_run_exitfuncs"}};
  for (const auto& [module_name, function] : steps) {
    const Ref module(PyImport_ImportModule(module_name));
    const Ref done(module ? PyObject_CallMethod(module.get(), function, nullptr) : nullptr);
    if (!done) log_exception(NARWHAL_LOG_ERROR, "At the end of the process");
  }
  for (const char* stream : {"stdout", "stderr"}) {
    PyObject* const object = PySys_GetObject(stream);
    const Ref done(object != nullptr ? PyObject_CallMethod(object, "flush", nullptr) : nullptr);
  }
  PyErr_Clear();
}

}  // namespace narwhal::wsgi
