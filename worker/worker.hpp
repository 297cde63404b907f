// What server/main.cpp needs of the worker: the bodies of the template process and of --debug, the check of plugins, and
// versions.
#pragma once

#include <string>

#include "core/result.hpp"
#include "core/seat.hpp"
#include "core/step.hpp"

namespace narwhal::worker {

// The template's whole life: loads the generation's plugins, forks a worker whenever the master orders one, and returns its
// exit status when the master orders it to leave or is gone. The caller is a fresh fork with default signal actions.
int run_template(TemplateSeat seat);

// For --debug: a worker in this process, from the load of its plugins to its end. A signal ends it: INT, QUIT, TERM and HUP
// finish the requests in hand first, a second one does not. Returns the exit status. It installs no handlers of crashes:
// valgrind, a sanitizer or the core file says more, and a debugger's user would get our report for each fault.
int run_debug(TemplateSeat seat);

// For --check-config: loads each plugin, checks its options, and does what a worker does until it is ready, in this process,
// which must be one that ends afterwards. Of a Python application, only the import.
Result<Done> check_plugins(const Generation& generation, const AboutTo& about_to);

// For --version: a line for each of the libraries that read requests.
std::string library_versions();

}  // namespace narwhal::worker
