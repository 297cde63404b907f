// load_config: argv, environment and narwhal.yaml or gunicorn.conf.py in, one Config out.
// Precedence  default (PORT, WEB_CONCURRENCY), the file, NARWHAL_CMD_ARGS (or, if that is absent, GUNICORN_CMD_ARGS),
//             command line; last wins.
// Paths       every relative path, wherever it is written, is relative to `chdir` if that is set, else to the directory
//             narwhal was started in. `chdir` itself and the path after -c are always relative to the start directory.
//             The Config contains absolute paths only, so a reload means the same files as the start. The name of an
//             installed plugin becomes its path, too.
// Reload      the same call again, with the argv and Environment of the start: only the file is read again.
// Errors      all faults of all sources at once. Changes nothing in the process: no chdir, no setenv.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"
#include "server/config/python_config.hpp"

namespace narwhal::server {

// What load_config may know besides argv and the file.
struct Environment {
  std::map<std::string, std::string> variables;
  std::string start_directory;                  // absolute
  std::string version;                          // "0.1.0"
  std::vector<std::string> plugin_directories;  // searched for NAME.so if APP is a plain name
};
// Of this process, now. `version` is the build's.
Environment current_environment(std::string version);

// Where a value comes from: "default", "narwhal.yaml:3", "NARWHAL_CMD_ARGS", "command line", "PORT".
struct Origin {
  std::string key;
  std::string from;
};

enum class Mode {
  serve,
  check,    // --check-config: load the plugins too, print nothing if all is well
  print,    // --print-config: print `text`, then do what check does
  debug,    // --debug: serve in this process alone
  help,     // print `text`, exit 0
  version,  // print `text`, exit 0
};

struct LoadedConfig {
  Config config;
  std::vector<Origin> origins;  // of each setting, in the settings' order
  Mode mode = Mode::serve;
  std::string text;  // for print, help and version: the output, with its last newline
  // For the log, whatever its level is: what was set and has no effect, or another than with Gunicorn. A line each.
  std::vector<std::string> notices;
};

// A LoadedConfig, or the reasons why there is none: error() is all faults, one per line, without a last newline.
struct LoadResult : Result<LoadedConfig> {
  using Result<LoadedConfig>::Result;
  std::vector<std::string> faults;  // the same, one line each, for a log
  int exit_code = 0;                // on an error: 2 for faults of the command line, 1 for all others
};

// A gunicorn.conf.py is read by a separate process (python_config.hpp); load_config waits for it. `reading` is that
// process, which runs the master's hooks of the file; without it the process is ended.
LoadResult load_config(int argc, const char* const* argv, const Environment& environment);
LoadResult load_config(int argc, const char* const* argv, const Environment& environment,
                       std::optional<PythonConfigReading>& reading);

// The same in two steps, for the master, which has other work while Python runs: the request to Python, if one is
// needed, then everything else with its answer.
std::optional<PythonConfigRequest> python_config_request(int argc, const char* const* argv,
                                                         const Environment& environment);
LoadResult load_config(int argc, const char* const* argv, const Environment& environment,
                       const std::optional<Result<std::string>>& python_answer);

// The text of a narwhal.yaml alone, for tests and fuzzing: no file, no environment, relative paths as written.
Result<Config> parse_config(std::string_view yaml, const std::string& file_name);

// Keys whose new value a reload cannot apply, because the master has used the old value at its start.
std::vector<std::string> needs_restart(const Config& running, const Config& next);

}  // namespace narwhal::server
