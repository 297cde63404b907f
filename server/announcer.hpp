// Announcer: keeps the service manager's STATUS line true, and tells it of the turns in the server's life.
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
  // Each turn of the loop: says what has changed, if anything has.
  void look_at(const Succession& succession);

 private:
  std::string status_text(const Succession& succession) const;

  Notifier notifier_;
  std::string failure_;  // of the last reload; kept in the status until one succeeds
  std::string said_;
  bool stopping_ = false;
};

}  // namespace narwhal::server
