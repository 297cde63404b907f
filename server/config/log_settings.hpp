// What the settings of the logs mean together.
#pragma once

#include "server/config/config_layer.hpp"

namespace narwhal::server {

// Adds a notice for each atom of access_log_format that is none.
void settle_logs(Draft& draft);

}  // namespace narwhal::server
