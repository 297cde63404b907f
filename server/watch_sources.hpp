// What the setting `reload` watches: the files that a generation was made from.
#pragma once

#include "core/clock.hpp"
#include "server/file_watch.hpp"
#include "server/plan.hpp"

namespace narwhal::server {

// Those of `plan`, beside those of the generation that serves.
void watch_sources(const Plan& plan, FileWatch& files, Instant now);
// `plan` serves from now on.
void watch_only(const Plan& plan, FileWatch& files, Instant now);

}  // namespace narwhal::server
