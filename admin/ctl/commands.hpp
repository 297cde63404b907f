// The commands of narwhalctl. Each returns its exit code; what went wrong is on standard error.
#pragma once

#include <chrono>
#include <string>

#include "admin/ctl/client.hpp"

namespace narwhal::ctl {

enum ExitCode : int { done = 0, refused = 1, timed_out = 2, no_server = 3, wrong_usage = 64 };

struct Output {
  bool json = false;
  bool quiet = false;  // no progress
};

int show_status(const Client& client, Output output);
int show_workers(const Client& client, Output output);
// Until a key is pressed or a signal comes; on something that is not a terminal, once.
int show_top(const Client& client, std::chrono::milliseconds interval);

// A command that the master carries out at once: "reopen", "scale?workers=3".
int order(const Client& client, const std::string& command, Output output);
// "reload" or "rollback": waits for the outcome.
int order_and_wait(const Client& client, const std::string& command, std::chrono::seconds limit, Output output);
// Waits until the new master serves. `finish`: then ends the former one, and waits until it has ended.
int upgrade(const Client& client, bool finish, std::chrono::seconds limit, Output output);
// "stop" or "stop_quick": waits until the server has ended.
int stop(const Client& client, const std::string& command, std::chrono::seconds limit, Output output);

}  // namespace narwhal::ctl
