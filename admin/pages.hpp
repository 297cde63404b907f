// The pages of the admin process, as a plugin:
//   GET  /                     status page, for a browser          GET  /healthz, /readyz   200 "ok", or 503 with the reason
//   GET  /status               JSON                                GET  /metrics            Prometheus
//   POST /commands/reload      and rollback, scale?workers=N, replace?pid=N, kill?pid=N, reopen, upgrade, stop, stop_quick
// A command is taken on the control socket alone: 403 elsewhere. 202: the master has accepted it, 409: refused, 504: the
// master has not answered in time. The body is JSON: "accepted", "text", and "transaction", the first that may be its own.
#pragma once

#include "core/board.hpp"
#include "core/scoreboard.hpp"
#include "narwhal/plugin.h"

namespace narwhal::admin {

// One a process. All three outlive it; `commands` is the socket to the master.
narwhal_plugin pages(const Board& board, const Scoreboard& scoreboard, int commands);

}  // namespace narwhal::admin
