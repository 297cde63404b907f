// The environment of a child of the master: signals, directory, variables, user and group, set before it maps a plugin.
#pragma once

#include "core/result.hpp"
#include "server/plan.hpp"

namespace narwhal::server {

// Whether the kernel kills the child when the master dies, for whatever reason.
enum class EndsWithMaster { no, yes };

// The directory and the variables that an application is loaded with.
Result<Done> enter_application_environment(const Config& config);

// Called once in a new child: ignores what a terminal sends to the whole group, then sets directory, environment, user
// and group. The error names the step that failed.
Result<Done> enter_child_environment(const Plan& plan, EndsWithMaster end);

}  // namespace narwhal::server
