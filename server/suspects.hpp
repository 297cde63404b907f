// Which requests may be why a worker has died: for the PoisonWatch.
#pragma once

#include "core/clock.hpp"
#include "core/config.hpp"
#include "server/site.hpp"
#include "server/worker_process.hpp"

namespace narwhal::server {

// `worker` was reaped, and its slot is not cleared yet.
void note_suspects(const WorkerProcess& worker, const Config& config, Site& site, Instant now);

}  // namespace narwhal::server
