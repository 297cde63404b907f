// What server/main.cpp needs of the worker: the body of the template process, the check of plugins, and versions.
#pragma once

#include <string>

#include "core/result.hpp"
#include "core/seat.hpp"
#include "core/step.hpp"

namespace narwhal::worker {

// The template's whole life: loads the generation's plugins, forks a worker whenever the master orders one, and returns its
// exit status when the master orders it to leave or is gone. The caller is a fresh fork with default signal actions.
int run_template(TemplateSeat seat);

// For --check-config: loads each plugin, checks its options, and does what a worker does until it is ready, in this process,
// which must be one that ends afterwards. Of a Python application, only the import.
Result<Done> check_plugins(const Generation& generation, const AboutTo& about_to);

// For --version: a line for each of the libraries that read requests.
std::string library_versions();

}  // namespace narwhal::worker
