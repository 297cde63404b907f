// What Gunicorn's `worker_class` means here. There is one kind of worker, with handler threads: it does what sync and
// gthread do, and serves what was written for greenlets with more threads.
#pragma once

#include "server/config/config_layer.hpp"

namespace narwhal::server {

// For a class of greenlets sets `threads`, unless a source has set it. Adds notices, and a fault for a class whose
// applications narwhal cannot serve.
void settle_worker_class(Draft& draft);

}  // namespace narwhal::server
