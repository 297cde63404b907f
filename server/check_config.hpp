// --check-config: would this configuration serve? Stages and loads the plugins in a throw-away process; binds nothing.
#pragma once

#include <functional>

#include "core/config.hpp"
#include "core/result.hpp"
#include "core/seat.hpp"

namespace narwhal::server {

// Loads the plugins in the process it is called in. main introduces worker::check_plugins here.
using CheckPlugins = std::function<Result<Done>(const Generation&)>;

// The error is one line. A plugin that crashes or hangs while it is loaded is an error like any other: it has
// boot_timeout to finish.
Result<Done> check_config(const Config& config, const CheckPlugins& check_plugins);

}  // namespace narwhal::server
