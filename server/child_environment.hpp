// What a child of the master puts on before it maps a plugin.
#pragma once

#include "core/result.hpp"
#include "server/plan.hpp"

namespace narwhal::server {

// Whether the kernel kills it when the master dies, however that came.
enum class EndsWithMaster { no, yes };

// For a fresh child, once: what a terminal sends to the whole group ignored, then directory, environment, user and
// group. The error names what could not be done.
Result<Done> enter_surroundings(const Plan& plan, EndsWithMaster end);

}  // namespace narwhal::server
