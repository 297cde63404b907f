#include "server/python_template.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>

#include "core/log.hpp"
#include "core/seat_bytes.hpp"
#include "core/signals.hpp"
#include "core/write_all.hpp"
#include "server/python_boot.hpp"

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __asan_init();
#elif defined(__SANITIZE_THREAD__)
extern "C" void __tsan_init();
#endif

namespace narwhal::server {
namespace {

Result<Fd> file_of(const std::string& bytes) {
  Fd file(::memfd_create("narwhal-seat", 0));
  if (!file || !write_all(file.get(), bytes) || ::lseek(file.get(), 0, SEEK_SET) != 0)
    return errno_error("write the template's seat");
  return file;
}

// Sets a variable for Python's start alone: the boot script forgets those that are named.
void set_for_start(const char* name, const char* value, std::vector<std::string>& named) {
  ::setenv(name, value, 1);
  named.emplace_back(name);
}

// The runtime of a sanitizer must be loaded before anything else, and leaves crashes to the worker's handler, as in a worker
// without Python. It looks for the function that throws when it starts, so the library of C++ must be there as well.
void preload_sanitizer(std::vector<std::string>& named) {
  Dl_info runtime{}, cpp{};
  const char* options_name = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  ::dladdr(reinterpret_cast<void*>(&__asan_init), &runtime);
  options_name = "ASAN_OPTIONS";
#elif defined(__SANITIZE_THREAD__)
  ::dladdr(reinterpret_cast<void*>(&__tsan_init), &runtime);
  options_name = "TSAN_OPTIONS";
#endif
  if (runtime.dli_fname == nullptr) return;
  ::dladdr(reinterpret_cast<void*>(&std::terminate), &cpp);
  const char* const options = ::getenv(options_name);
  const std::string with_ours = std::string(options != nullptr ? options : "") +
                                ":handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0";
  ::setenv(options_name, with_ours.c_str(), 1);
  set_for_start("LD_PRELOAD", fmt::format("{}:{}", runtime.dli_fname, cpp.dli_fname).c_str(), named);
}

// Python compares a .pyc with its source by size and whole seconds: after a second save of the same length within one
// second, it would load the first one's code.
void keep_no_bytecode_of_what_changes(std::vector<std::string>& named) {
  constexpr const char* name = "PYTHONDONTWRITEBYTECODE";
  const char* const text = ::getenv(name);
  if (text == nullptr || *text == '\0') set_for_start(name, "1", named);
}

// A server that the application starts is not to inherit them.
void forget_own_variables(std::vector<std::string>& named) {
  for (const char* name : {"NARWHAL_PYTHON", "NARWHAL_SETTINGS"}) {
    if (::getenv(name) != nullptr) named.emplace_back(name);
  }
}

// Of the library: worker/python_program.hpp.
const char* function_of(PythonTask task) {
  switch (task) {
    case PythonTask::run_template: return "narwhal_run_template";
    case PythonTask::check_plugins: return "narwhal_check_plugins";
    case PythonTask::debug: return "narwhal_debug";
  }
  return "";
}

std::size_t first_python_route(const Config& config) {
  const auto found = std::find_if(config.routes.begin(), config.routes.end(),
                                  [](const Route& route) { return !route.plugin.empty(); });
  return static_cast<std::size_t>(found - config.routes.begin());
}

}  // namespace

bool needs_python(const Config& config) { return first_python_route(config) < config.routes.size(); }

Error become_python(const TemplateSeat& seat, PythonTask task) {
  const Config& config = seat.generation->config;
  const std::size_t route = first_python_route(config);
  const auto file = file_of(seat_bytes(seat));
  if (!file) return Error{file.error()};
  for (const int descriptor : inherited_descriptors(seat)) ::fcntl(descriptor, F_SETFD, 0);
  std::vector<std::string> arguments{config.python,
                                     "-c",
                                     python_boot,
                                     seat.generation->plugins[route].copy,
                                     seat.generation->python_library.copy,
                                     std::to_string(file->get()),
                                     function_of(task)};
  forget_own_variables(arguments);
  preload_sanitizer(arguments);
  if (config.reload) keep_no_bytecode_of_what_changes(arguments);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const SignalsBlocked until_python_has_handlers;  // the mask outlives the call, and this object does not
  ::execv(config.python.c_str(), pointers.data());
  return errno_error("execute " + config.python);
}

}  // namespace narwhal::server
