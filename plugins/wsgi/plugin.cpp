// The WSGI plugin: runs PEP 3333 applications in the interpreter that this process is (module.cpp). This file has
// the functions that the server calls.
#include <cstdlib>
#include <memory>

#include "plugins/wsgi/application.hpp"
#include "plugins/wsgi/call.hpp"
#include "plugins/wsgi/environ.hpp"
#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/file_wrapper.hpp"
#include "plugins/wsgi/forked.hpp"
#include "plugins/wsgi/hooks.hpp"
#include "plugins/wsgi/input.hpp"
#include "plugins/wsgi/interpreter.hpp"
#include "plugins/wsgi/log_values.hpp"
#include "plugins/wsgi/loggers.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

const narwhal_host* host = nullptr;

namespace {

// One mounted application.
struct Instance {
  std::string name;
  Ref application;
  Environ environ;
  RequestBody body = RequestBody::whole;
};

unsigned mounts = 0;  // those whose worker_init() has succeeded

Instance& instance_of(void* instance) noexcept { return *static_cast<Instance*>(instance); }

std::string option(const narwhal_boot* boot, const char* key) {
  const narwhal_bytes value = boot->option(boot, key);
  return {value.data, value.size};
}

int refuse(const narwhal_boot* boot, std::string_view reason, int code = NARWHAL_ERROR) noexcept {
  boot->fail(boot, bytes_of(reason));
  return code;
}

bool prepare_types() noexcept {
  return prepare_input_type() && prepare_extra_types() && prepare_file_wrapper_type() && prepare_call_types() &&
         prepare_environ_texts();
}

std::string script_name(const narwhal_boot* boot) {
  const char* const from_environment = std::getenv("SCRIPT_NAME");
  if (boot->prefix.size != 0 || from_environment == nullptr) return std::string(view_of(boot->prefix));
  return normal_script_name(from_environment);
}

// Loads the application. With the GIL. A failure is reported with a reason; NO_APP when the module was imported.
int load(const narwhal_boot* boot, Instance& instance) {
  if (!prepare_types()) {
    const std::string reason = exception_line();
    PyErr_Clear();
    return refuse(boot, "set up: " + reason);
  }
  const std::string settings = option(boot, "logging");
  if (!settings.empty() && !configure_loggers(option(boot, "loglevel"), settings)) {
    const std::string reason = "loggers: " + exception_line();
    log_exception(NARWHAL_LOG_ERROR, "Exception in worker process");
    return refuse(boot, reason);
  }
  if (settings.empty() && !prepare_loggers(option(boot, "loglevel"))) {
    log_exception(NARWHAL_LOG_WARNING, "The logger gunicorn.error could not be set up");
  }
  Loaded loaded = load_application(instance.name);
  watch_modules();
  if (!loaded.application) return refuse(boot, loaded.reason, loaded.was_imported ? NARWHAL_NO_APP : NARWHAL_ERROR);
  instance.application = std::move(loaded.application);
  prepare_tracebacks();
  return NARWHAL_OK;
}

bool prepare_environ(const narwhal_boot* boot, Instance& instance) {
  const std::string name = script_name(boot);
  if (!name.empty() && name.front() != '/') {
    refuse(boot, "the environment variable SCRIPT_NAME is '" + name + "': it must begin with a slash, or not be set");
    return false;
  }
  if (instance.environ.prepare({name, boot->threads > 1, boot->workers > 1})) return true;
  refuse(boot, "environ: " + exception_line());
  PyErr_Clear();
  return false;
}

void choose_body(const narwhal_boot* boot, Instance& instance) {
  if (option(boot, "request_buffering") == "true") return;
  boot->set_flags(boot, NARWHAL_STREAM_BODY);
  instance.body = RequestBody::arriving;
}

int enter(const narwhal_boot* boot) {
  const std::string fault = enter_interpreter(option(boot, "pythonpath"));
  return fault.empty() ? NARWHAL_OK : refuse(boot, fault);
}

// With the GIL.
int refuse_hooks(const narwhal_boot* boot) {
  const std::string reason = "hooks of " + option(boot, "hooks") + ": " + exception_line();
  log_exception(NARWHAL_LOG_ERROR, "Exception in worker process");
  return refuse(boot, reason);
}

// A file without hooks for workers has given its settings already. What else it does, as another user perhaps, is worth a
// warning.
int read_hooks(const narwhal_boot* boot) {
  const std::string file = option(boot, "hooks");
  if (load_hooks(file, option(boot, "settings"))) {
    watch_modules();
    return NARWHAL_OK;
  }
  if (option(boot, "hooks_required") == "true") return refuse_hooks(boot);
  const std::string what = file + " cannot be run for the workers: what it sets, apart from settings, they do not have";
  log_exception(NARWHAL_LOG_WARNING, what.c_str());
  give_up_hooks();
  return NARWHAL_OK;
}

int begin_hooks(const narwhal_boot* boot) {
  if (const int read = read_hooks(boot); read != NARWHAL_OK) return read;
  return hooks_forked(static_cast<unsigned>(boot->worker) + 1) ? NARWHAL_OK : refuse_hooks(boot);
}

// In the template: every worker inherits what is loaded here.
int preload(const narwhal_boot* boot, void** out) noexcept try {
  host = boot->host;
  auto instance = std::make_unique<Instance>();
  instance->name = option(boot, "app");
  if (const int entered = enter(boot); entered != NARWHAL_OK) return entered;
  watch_for_forks();
  // Once, as in Gunicorn: workers have the same random numbers of it, and share its multiprocessing.Value.
  int loaded = read_hooks(boot);
  const bool imports = option(boot, "preload") == "true";
  if (loaded == NARWHAL_OK && imports) loaded = load(boot, *instance);
  if (loaded == NARWHAL_OK && (imports || !option(boot, "hooks").empty())) freeze_collector();
  if (loaded == NARWHAL_OK && imports) *out = instance.release();
  instance.reset();  // while the GIL is held
  leave_interpreter();
  return loaded;
} catch (const std::exception& error) {
  return refuse(boot, error.what());
}

int worker_init(const narwhal_boot* boot, void** out) noexcept try {
  host = boot->host;
  std::unique_ptr<Instance> instance(static_cast<Instance*>(*out));
  *out = nullptr;
  if (const int entered = enter(boot); entered != NARWHAL_OK) return entered;
  watch_for_forks();
  int loaded = begin_hooks(boot);
  end_if_forked();
  if (loaded == NARWHAL_OK && instance == nullptr) {
    instance = std::make_unique<Instance>();
    instance->name = option(boot, "app");
    loaded = load(boot, *instance);
  }
  if (loaded == NARWHAL_OK && !prepare_environ(boot, *instance)) loaded = NARWHAL_ERROR;
  if (loaded != NARWHAL_OK) instance.reset();  // while the GIL is held
  leave_interpreter();
  if (loaded != NARWHAL_OK) return loaded;
  choose_body(boot, *instance);
  set_logged_names(option(boot, "log_environ"));
  if (option(boot, "sendfile") == "false") read_all_files();
  ++mounts;
  *out = instance.release();
  return NARWHAL_OK;
} catch (const std::exception& error) {
  return refuse(boot, error.what());
}

int ready_check(const narwhal_boot* boot, void* instance) noexcept try {
  if (option(boot, "hooks").empty()) return NARWHAL_OK;
  if (const int entered = enter(boot); entered != NARWHAL_OK) return entered;
  const int ready = hooks_ready(instance_of(instance).application.get()) ? NARWHAL_OK : refuse_hooks(boot);
  end_if_forked();
  leave_interpreter();
  return ready;
} catch (const std::exception& error) {
  return refuse(boot, error.what());
}

int thread_init(void*) noexcept { return attach_thread() ? NARWHAL_OK : NARWHAL_ERROR; }

void thread_exit(void*) noexcept {
  {
    const Gil gil;
    forget_thread();
  }
  detach_thread();
}

int handle(void* instance, narwhal_exchange* exchange) noexcept {
  const Gil gil;
  ++requests_begun;
  const Instance& mount = instance_of(instance);
  const int outcome = call_application(mount.application.get(), mount.environ, mount.body, exchange);
  watch_modules();
  return outcome;
}

void log_stacks(std::int32_t level, narwhal_exchange* exchange, const char* past) noexcept try {
  const narwhal_request& request = *host->request(exchange);
  log_all_stacks(level, "Python stacks, with " + std::string(view_of(request.method)) + " " +
                            std::string(view_of(request.target).substr(0, 1000)) + " past " + past);
} catch (...) {
  log_all_stacks(level, "Python stacks");
}

void stuck(void*, narwhal_exchange* exchange) noexcept {
  log_stacks(NARWHAL_LOG_CRITICAL, exchange, "its deadline");
  abort_by_hook();
}

void slow(void*, narwhal_exchange* exchange) noexcept { log_stacks(NARWHAL_LOG_WARNING, exchange, "soft_timeout"); }

void fork_begins(void*) noexcept { before_fork(); }
void fork_is_over(void*) noexcept { after_fork_in_template(); }

// As at the end of Gunicorn's master: what has been registered with atexit runs, and processes of multiprocessing end.
void template_exit(void*) noexcept {
  if (!enter_for_the_end()) return;
  end_python_of_a_copy();
  leave_interpreter();
}

void worker_exit(void* pointer) noexcept {
  if (!enter_for_the_end()) return;
  if (mounts == 1) close_hooks();
  delete static_cast<Instance*>(pointer);
  if (--mounts != 0) return leave_interpreter();
  clear_environ_texts();
  end_interpreter();
}

constexpr narwhal_option options[] = {
    {"app", "string", "", "the application: module:attribute, module:factory(arguments), or module (its `application`)",
     0},
    {"venv", "string", "",
     "directory of a virtual environment, whose interpreter the server starts; default: $VIRTUAL_ENV, else none", 0},
    {"pythonpath", "string", "", "directories to put in front of sys.path, separated by commas", 0},
    {"hooks", "string", "", "a gunicorn.conf.py whose hooks run in the workers", 0},
    {"hooks_required", "bool", "true", "whether workers need that file", 0},
    {"settings", "string", "{}", "the server's settings in JSON, for these hooks", 0},
    {"preload", "bool", "true", "with preload_app, import the application in the template; else only run that file", 0},
    {"loglevel", "string", "info", "level of logging.getLogger('gunicorn.error')", 0},
    {"request_buffering", "bool", "true", "call the application when the request's body is complete", 0},
    {"logging", "string", "", "settings of the logs, in JSON, where a process writes them", 0},
    {"log_environ", "string", "", "variables of the environ that the access log shows, separated by commas", 0},
    {"sendfile", "bool", "true", "send files by sendfile(2), in all applications of the worker", 0},
    {}};

}  // namespace
}  // namespace narwhal::wsgi

namespace wsgi = narwhal::wsgi;

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {
    .struct_size = sizeof(narwhal_plugin),
    .abi_minor = NARWHAL_ABI_MINOR,
    .flags = 0,
    .name = "wsgi",
    .version = NARWHAL_VERSION,
    .options = wsgi::options,
    .preload = wsgi::preload,
    .worker_init = wsgi::worker_init,
    .ready_check = wsgi::ready_check,
    .thread_init = wsgi::thread_init,
    .thread_exit = wsgi::thread_exit,
    .handle = wsgi::handle,
    .cancel = nullptr,
    .drain = nullptr,
    .worker_exit = wsgi::worker_exit,
    .before_fork = wsgi::fork_begins,
    .after_fork = wsgi::fork_is_over,
    .stuck = wsgi::stuck,
    .template_exit = wsgi::template_exit,
    .slow = wsgi::slow,
    .writable = nullptr,
};
