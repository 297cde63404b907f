// The first half of a transaction: everything that a generation needs before its first fork. It changes nothing that
// serves.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "server/config/python_config.hpp"
#include "server/plan.hpp"
#include "server/staging/stage_area.hpp"

namespace narwhal::server {

// Reads the settings again, from the same sources as the start.
struct ReadConfig {
  // The request to Python if the file is a gunicorn.conf.py; none, or an empty function, if Python is not needed.
  std::function<std::optional<PythonConfigRequest>()> request;
  // With Python's answer if there was a request. The error is one line, with file, line and column.
  std::function<Result<Config>(const std::optional<Result<std::string>>& answer)> read;
};

// Why a transaction was given up.
struct FailedStep {
  std::string step;    // "config", "bind", "stage", "load", "boot", "canary"
  std::string reason;  // one line
};
using Prepared = std::variant<Plan, FailedStep>;

// Without listeners: for --check-config.
Prepared prepare_check(const Config& config, StageArea& area);
// Binds every address that is not inherited, and waits for one that is in use: the loop does not run yet.
Prepared prepare_first(const Config& config, StageArea& area, InheritedSockets& inherited);
// Binds only what `running` does not listen on. Never blocks on another process.
Prepared prepare_next(const Config& config, std::uint64_t number, const ListenerList& running, StageArea& area);
// The plan of an earlier generation again, under a new number: same settings, same staged copies.
Prepared prepare_again(const Plan& earlier, std::uint64_t number, const ListenerList& running);

}  // namespace narwhal::server
