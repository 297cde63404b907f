// PoisonWatch: which requests workers have died in, and which of them are refused now (core/poison_table.hpp).
// Rule   a request (method and path) is refused once it was running in poison_limit workers that died within poison_window.
//        Where the thread at fault is unknown, every request that ran is suspect: then none counts that has always died
//        together with another one.
// Quiet  it is let through again when none has come for the window. If they come all the time, one is let through on trial
//        each window: if no worker has died of it after another window, all are.
// Pure but for the table and the log: the caller says what died and when.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/poison_table.hpp"

namespace narwhal::server {

class PoisonWatch {
 public:
  // A worker has died while it ran these requests, as PoisonTable::text_of() of each.
  void died(PoisonTable& table, std::vector<std::string> suspects, const Config& config, Instant now);
  // Ends what has been quiet.
  void settle(PoisonTable& table, Instant now);
  // Other code runs now, which may not die of them.
  void forget(PoisonTable& table);
  Instant deadline() const { return refused_.empty() ? never : next_look_; }

 private:
  struct Death {
    Instant at;
    std::vector<std::string> suspects;  // all different
  };
  struct Refused {
    PoisonTable::Entry* entry;
    std::string text;
    std::chrono::nanoseconds window;
    Instant last_death;
    Instant trial_taken = unset;
    bool trial_given = false;
  };

  bool is_refused(const std::string& text) const;
  std::size_t deaths_of(const std::string& text) const;
  bool has_company(const std::string& text) const;
  void refuse(PoisonTable& table, const std::string& text, const Config& config, Instant now);
  static bool is_over(Refused& refused, Instant now);
  static void end(PoisonTable& table, const Refused& refused);

  std::deque<Death> deaths_;  // within the window, oldest first
  std::vector<Refused> refused_;
  Instant next_look_ = never;
};

}  // namespace narwhal::server
