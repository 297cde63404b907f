// The only file that includes both server/ and worker/.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "server/check_config.hpp"
#include "server/config/load_config.hpp"
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

int check(const server::LoadedConfig& loaded) {
  for (const std::string& notice : loaded.notices) std::fprintf(stderr, "narwhal: %s\n", notice.c_str());
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

int serve(const server::LoadedConfig& start, int argc, char** argv, const server::Environment& environment) {
  std::vector<std::string> logged = start.notices;
  const auto request = [&] { return server::python_config_request(argc, argv, environment); };
  const auto read = [&](const std::optional<Result<std::string>>& answer) -> Result<Config> {
    const auto loaded = server::load_config(argc, argv, environment, answer);
    if (!loaded) return Error{narwhal::joined(loaded.faults, "; ")};  // the log wants one line
    for (const std::string& notice : loaded->notices) {               // once, and again only if it has changed
      const bool is_new = std::find(logged.begin(), logged.end(), notice) == logged.end();
      if (is_new) narwhal::log::write(narwhal::LogLevel::warning, notice);
    }
    logged = loaded->notices;
    return loaded->config;
  };
  return server::Master(start.config, {{request, read}, worker::run_template, NARWHAL_VERSION, start.notices})
      .supervise();
}

}  // namespace

int main(int argc, char** argv) try {
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
  return serve(*loaded, argc, argv, environment);
} catch (const narwhal::StartupError& error) {
  std::fprintf(stderr, "narwhal: %s\n", error.what());
  return 1;
}
