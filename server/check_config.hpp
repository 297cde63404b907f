// --check-config: would this configuration serve? Stages and loads the plugins in a temporary process; binds nothing.
#pragma once

#include <functional>

#include "core/config.hpp"
#include "core/result.hpp"
#include "core/seat.hpp"

namespace narwhal::server {

// Loads the plugins in the calling process. main passes worker::check_plugins.
using CheckPlugins = std::function<Result<Done>(const Generation&)>;

// The error is one line. A plugin that crashes while it is being loaded, or takes longer than boot_timeout, is an error
// like any other.
Result<Done> check_config(const Config& config, const CheckPlugins& check_plugins);

}  // namespace narwhal::server
