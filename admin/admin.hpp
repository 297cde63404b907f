// The body of the admin process: a worker of our own with one plugin, which shows what the server does and passes
// commands on to the master.
#pragma once

#include "core/seat.hpp"

namespace narwhal::admin {

// The caller is a fresh fork with default signal actions. Returns the exit status, or ends the process.
int run_admin(AdminSeat seat);

}  // namespace narwhal::admin
