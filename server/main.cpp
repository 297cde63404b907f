// The only file that includes both server/ and worker/.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "server/check_config.hpp"
#include "server/config/load_config.hpp"
#include "server/daemon.hpp"
#include "server/master.hpp"
#include "worker/worker.hpp"

namespace {

using narwhal::Config;
using narwhal::Error;
using narwhal::Result;
namespace server = narwhal::server;
namespace worker = narwhal::worker;

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
  return notices;
}

int check(const server::LoadedConfig& loaded) {
  for (const std::string& notice : notices_of(loaded, server::kept_streams(loaded.config)))
    std::fprintf(stderr, "narwhal: %s\n", notice.c_str());
  narwhal::or_throw(server::check_config(loaded.config, worker::check_plugins));
  return 0;
}

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int print_faults(const server::LoadResult& refused) {
  for (const std::string& fault : refused.faults) std::fprintf(stderr, "narwhal: %s\n", fault.c_str());
  return refused.exit_code;
}

// `daemon`: null unless this process is one.
int serve(const server::LoadedConfig& start, int argc, char** argv, const server::Environment& environment,
          server::Daemon* daemon) {
  const server::KeptStreams kept = daemon != nullptr ? daemon->kept() : server::KeptStreams{true, true};
  const std::vector<std::string> first = notices_of(start, kept);
  std::vector<std::string> logged = first;
  const auto request = [&] { return server::python_config_request(argc, argv, environment); };
  const auto read = [&](const std::optional<Result<std::string>>& answer) -> Result<Config> {
    const auto loaded = server::load_config(argc, argv, environment, answer);
    if (!loaded) return Error{narwhal::joined(loaded.faults, "; ")};  // the log wants one line
    const std::vector<std::string> notices = notices_of(*loaded, kept);
    for (const std::string& notice : notices) {  // once, and again only if it has changed
      const bool is_new = std::find(logged.begin(), logged.end(), notice) == logged.end();
      if (is_new) narwhal::log::write(narwhal::LogLevel::warning, notice);
    }
    logged = notices;
    return loaded->config;
  };
  return server::Master(start.config, {{request, read}, worker::run_template, NARWHAL_VERSION, first, daemon})
      .supervise();
}

// What `body` returns; a StartupError is a message and exit code 1.
template <class Body>
int guarded(Body body) try {
  return body();
} catch (const narwhal::StartupError& error) {
  std::fprintf(stderr, "narwhal: %s\n", error.what());
  return 1;
}

int serve_in_background(const server::LoadedConfig& start, int argc, char** argv,
                        const server::Environment& environment) {
  server::Daemon daemon = server::Daemon::leave_caller(start.config);
  const int code = guarded([&] {
    const int ended = serve(start, argc, argv, environment, &daemon);
    const std::string& log = start.config.errorlog;
    if (ended != 0 && log != "-") std::fprintf(stderr, "narwhal: the start has failed: see %s\n", log.c_str());
    return ended;
  });
  daemon.ended(code);
  return code;
}

int run(int argc, char** argv) {
  fill_standard_streams();
  argv = narwhal::keep_title_space(argc, argv);
  const server::Environment environment = server::current_environment(NARWHAL_VERSION);
  const server::LoadResult loaded = server::load_config(argc, argv, environment);
  if (!loaded) return print_faults(loaded);
  switch (loaded->mode) {
    case server::Mode::help: return print(loaded->text);
    case server::Mode::version: return print(loaded->text + worker::library_versions());
    case server::Mode::print: return print(loaded->text) == 0 ? check(*loaded) : 1;
    case server::Mode::check: return check(*loaded);
    case server::Mode::serve: break;
  }
  if (loaded->config.daemon) return serve_in_background(*loaded, argc, argv, environment);
  return serve(*loaded, argc, argv, environment, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  return guarded([&] { return run(argc, argv); });
}
