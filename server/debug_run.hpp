// --debug: the server as one process, for a debugger, valgrind and sanitizers. No master watches it, no process is forked,
// and no handler has a time limit: where it stands still, somebody looks at it.
// Plugins  are loaded from their own files, not from copies: a debugger finds breakpoints and sources by that path.
// Python   the process executes the interpreter and goes on in it, with the same process ID.
#pragma once

#include <string>
#include <vector>

#include "server/config/load_config.hpp"
#include "server/plan.hpp"
#include "server/sockets/inherited_sockets.hpp"

namespace narwhal::server {

// Serves until a signal ends it, and returns the exit status of the process: that of `body`, which main passes as
// worker::run_debug. `notices` are lines for the log, whatever its level is. Throws StartupError.
int debug(const LoadedConfig& loaded, const std::vector<std::string>& notices, InheritedSockets& inherited,
          const TemplateBody& body);

// The settings of such a server.
Config debug_config(const Config& config);
// The settings that were given and have no effect in it, by name.
std::vector<std::string> ignored_in_debug(const LoadedConfig& loaded);

}  // namespace narwhal::server
