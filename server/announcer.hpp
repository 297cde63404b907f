// Announcer: keeps the service manager's STATUS line up to date and reports start, reload and stop to it.
// Watchdog  where the unit has WatchdogSec=, turn() reports three times in that time that the master's loop turns.
// Upstart   with NARWHAL_EXPECT_STOP in the environment, the process stops itself once when it is ready (`expect stop`).
// Time      while a start, a reload or a stop may last by the server's own limits, the service manager is asked for more
//           time. Without a limit of ours its own applies.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "core/clock.hpp"
#include "server/notify.hpp"
#include "server/succession.hpp"

namespace narwhal::server {

class Announcer {
 public:
  // `silent`: another process is the service, until be_main().
  explicit Announcer(bool silent);

  void starting(Instant now, std::chrono::seconds limit) { wait(now, limit); }
  void ready(const Succession& succession);
  void reloading(Instant now, std::chrono::seconds limit);
  // Part of a reload: what is compared, and how long the rest of it may take.
  void comparing(const std::string& what, Instant now, std::chrono::seconds limit);
  void reload_failed(const std::string& why, const Succession& succession);
  void stopping(Instant now, std::chrono::seconds limit);
  // Another process, which is ready, is the service from now on.
  void hand_over(pid_t to);
  // This process is the service again, or from now on, and serves.
  void be_main(const Succession& succession);
  // The same for a service manager that waits only for its own child, which this process has not been until now.
  void confirm_main() const;
  // What an upgrade that is running adds to the status.
  void set_upgrade(std::string text);
  // `why` it has failed, which the status shows until the next upgrade or reload; empty: it has not.
  void upgrade_ended(const std::string& why);
  // Called in each turn of the loop: sends the status if it has changed.
  void update(const Succession& succession);
  // Called in each turn of every loop of the master: what is due.
  void turn(Instant now);
  Instant deadline() const { return std::min(next_alive_, next_extension_); }
  const std::string& status() const { return last_status_; }

 private:
  void wait(Instant now, std::chrono::seconds limit);
  void end_wait() { next_extension_ = never; }
  std::string status_text(const Succession& succession) const;
  template <class Send>
  void send(Send send) const;

  Notifier notifier_;
  std::string failure_;  // of the last reload; part of the status until a reload succeeds
  std::string last_status_;
  std::string upgrade_;
  bool silent_;
  bool stopping_ = false;
  bool stops_once_ready_ = false;
  Instant next_alive_ = never;
  Instant next_extension_ = never, wait_end_ = unset;
};

}  // namespace narwhal::server
