// --check-config: would this configuration serve? Stages and loads the plugins in a temporary process, and boots what a
// worker boots there; binds nothing.
#pragma once

#include <functional>

#include "core/config.hpp"
#include "core/result.hpp"
#include "core/seat.hpp"
#include "core/step.hpp"

namespace narwhal::server {

// Loads and boots the plugins in the calling process. main passes worker::check_plugins.
using CheckPlugins = std::function<Result<Done>(const Generation&, const AboutTo&)>;

// The error is one line. A plugin that crashes meanwhile, or takes longer than boot_timeout, is an error like any other.
Result<Done> check_config(const Config& config, const CheckPlugins& check_plugins);

}  // namespace narwhal::server
