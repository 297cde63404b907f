// What a child of the master puts on before it maps a plugin.
#pragma once

#include <string>

#include "core/app_title.hpp"
#include "core/result.hpp"
#include "server/plan.hpp"

namespace narwhal::server {

// For a fresh child, once. In order: ignored signals, directory, environment, user and group, and death with its
// parent where `ends_with_master` says so.
enum class EndsWithMaster { no, yes };
Result<Done> enter_surroundings(const Plan& plan, EndsWithMaster end);

}  // namespace narwhal::server
