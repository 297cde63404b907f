// The only file that includes server/, worker/ and admin/.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/admin.hpp"
#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "server/check_config.hpp"
#include "server/check_safety.hpp"
#include "server/config/load_config.hpp"
#include "server/daemon.hpp"
#include "server/debug_run.hpp"
#include "server/early_signals.hpp"
#include "server/inheritance.hpp"
#include "server/master.hpp"
#include "worker/worker.hpp"

namespace {

using narwhal::Config;
using narwhal::Error;
using narwhal::Result;
namespace server = narwhal::server;
namespace worker = narwhal::worker;

// A TERM can come at any moment after exec(). This runs before the libraries are initialised; main() repeats it where the
// C library does not know of it. A sanitizer's runtime is not ready so early.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
[[gnu::section(".preinit_array"), gnu::used]] void (*const at_once)() = [] { server::begin_early_signals(); };
#endif

// A standard stream that the caller left closed would be reused for the next file or socket: prints would go there, and
// Python does not start if its standard input is a directory.
void fill_standard_streams() {
  int filled = 0;
  while (filled >= 0 && filled <= STDERR_FILENO) filled = ::open("/dev/null", O_RDWR);
  if (filled >= 0) ::close(filled);
}

// What the start and each reload log of their settings, whatever the level of the log is.
std::vector<std::string> notices_of(const server::LoadedConfig& loaded, server::KeptStreams kept) {
  std::vector<std::string> notices = loaded.notices;
  for (std::string& line : server::lost_logs(loaded.config, kept)) notices.push_back(std::move(line));
  for (std::string& line : server::safety_notices(loaded.config)) notices.push_back(std::move(line));
  return notices;
}

// A line of a process that has no log yet.
void print_line(narwhal::LogLevel level, const std::string& text) {
  const std::string line = std::string(narwhal::log::standard_error_mark(level)) + "narwhal: " + text + '\n';
  std::fputs(line.c_str(), stderr);
}

int check(const server::LoadedConfig& loaded) {
  for (const std::string& notice : notices_of(loaded, server::kept_streams(loaded.config)))
    print_line(narwhal::LogLevel::warning, notice);
  narwhal::or_throw(server::check_config(loaded.config, worker::check_plugins));
  return 0;
}

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int print_faults(const server::LoadResult& refused) {
  for (const std::string& fault : refused.faults) print_line(narwhal::LogLevel::error, fault);
  return refused.exit_code;
}

int debug(const server::LoadedConfig& loaded, server::Inheritance& inheritance) {
  const std::vector<std::string> notices = notices_of(loaded, server::KeptStreams{true, true});
  return server::debug(loaded, notices, inheritance.sockets(), worker::run_debug);
}

// What the start has read.
struct Start {
  const server::LoadedConfig& loaded;
  int argc;
  char** argv;
  const server::Environment& environment;
  server::Inheritance& inheritance;
};

// `daemon`: null unless this process is one.
int serve(const Start& start, server::Hooks hooks, server::Daemon* daemon) {
  // The successor of a daemon has its streams already.
  server::KeptStreams kept{true, true};
  if (start.loaded.config.daemon) kept = daemon != nullptr ? daemon->kept() : server::kept_streams(start.loaded.config);
  const std::vector<std::string> first = notices_of(start.loaded, kept);
  std::vector<std::string> logged = first;
  const auto request = [&] { return server::python_config_request(start.argc, start.argv, start.environment); };
  const auto read = [&](const std::optional<Result<std::string>>& answer) -> Result<Config> {
    const auto loaded = server::load_config(start.argc, start.argv, start.environment, answer);
    if (!loaded) return Error{narwhal::joined(loaded.faults, "; ")};  // the log wants one line
    const std::vector<std::string> notices = notices_of(*loaded, kept);
    for (const std::string& notice : notices) {  // once, and again only if it has changed
      const bool is_new = std::find(logged.begin(), logged.end(), notice) == logged.end();
      if (is_new) narwhal::log::write(narwhal::LogLevel::warning, notice);
    }
    logged = notices;
    return loaded->config;
  };
  server::Master::Parts parts{{request, read},
                              worker::run_template,
                              NARWHAL_VERSION,
                              first,
                              daemon,
                              std::move(hooks),
                              server::own_program(start.argc, start.argv, start.environment),
                              &start.inheritance,
                              narwhal::admin::run_admin};
  return server::Master(start.loaded.config, std::move(parts)).supervise();
}

// What `body` returns; a StartupError is a message and exit code 1.
template <class Body>
int guarded(Body body) try {
  return body();
} catch (const narwhal::StartupError& error) {
  print_line(narwhal::LogLevel::error, error.what());
  return 1;
}

// The process that has read the file was the caller's.
server::Hooks hooks_of_daemon(const Start& start) {
  if (!start.loaded.config.has_master_hooks) return {};
  const auto request = server::python_config_request(start.argc, start.argv, start.environment);
  std::optional<server::PythonConfigReading> reading;
  if (request) narwhal::or_throw(server::read_python_config(*request, reading));
  return {std::move(reading), start.loaded.config};
}

int serve_in_background(const Start& start) {
  const Config& config = start.loaded.config;
  server::Daemon daemon = server::Daemon::leave_caller(config);
  const int code = guarded([&] {
    const int ended = serve(start, hooks_of_daemon(start), &daemon);
    const std::string& log = config.errorlog;
    if (ended != 0 && log != "-") std::fprintf(stderr, "narwhal: the start has failed: see %s\n", log.c_str());
    return ended;
  });
  daemon.ended(code);
  return code;
}

int run(int argc, char** argv, server::Inheritance& inheritance) {
  const server::Environment environment = server::current_environment(NARWHAL_VERSION);
  std::optional<server::PythonConfigReading> reading;
  const server::LoadResult loaded = server::load_config(argc, argv, environment, reading);
  if (!loaded) {
    inheritance.failed(narwhal::joined(loaded.faults, "; "));
    return print_faults(loaded);
  }
  if (loaded->mode != server::Mode::serve) server::end_early_signals();
  switch (loaded->mode) {
    case server::Mode::help: return print(loaded->text);
    case server::Mode::version: return print(loaded->text + worker::library_versions());
    case server::Mode::print: return print(loaded->text) == 0 ? check(*loaded) : 1;
    case server::Mode::check: return check(*loaded);
    case server::Mode::debug: reading.reset(); return debug(*loaded, inheritance);
    case server::Mode::serve: break;
  }
  const Start start{*loaded, argc, argv, environment, inheritance};
  if (loaded->config.daemon && !inheritance.exists()) {
    reading.reset();
    return serve_in_background(start);
  }
  return serve(start, server::Hooks(std::move(reading), loaded->config), nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  server::begin_early_signals();
  fill_standard_streams();
  argv = narwhal::keep_title_space(argc, argv);
  server::Inheritance inheritance = server::Inheritance::take();
  return guarded([&] {
    try {
      return run(argc, argv, inheritance);
    } catch (const narwhal::StartupError& error) {
      inheritance.failed(error.what());
      throw;
    }
  });
}
