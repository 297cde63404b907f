// Announcer: keeps the service manager's STATUS line up to date and reports start, reload and stop to it.
#pragma once

#include <cstdint>
#include <string>

#include "core/clock.hpp"
#include "server/notify.hpp"
#include "server/succession.hpp"

namespace narwhal::server {

class Announcer {
 public:
  Announcer() : notifier_(Notifier::from_environment()) {}

  void ready(const Succession& succession);
  void reloading(Instant now);
  void reload_failed(const std::string& why, const Succession& succession);
  void stopping();
  // Called in each turn of the loop: sends the status if it has changed.
  void update(const Succession& succession);

 private:
  std::string status_text(const Succession& succession) const;

  Notifier notifier_;
  std::string failure_;  // of the last reload; part of the status until a reload succeeds
  std::string last_status_;
  bool stopping_ = false;
};

}  // namespace narwhal::server
