// Site: what all generations of one server share.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/clock.hpp"
#include "core/scoreboard.hpp"
#include "server/file_watch.hpp"
#include "server/ledger.hpp"
#include "server/leftovers.hpp"
#include "server/log_process.hpp"
#include "server/plan.hpp"
#include "server/poison_watch.hpp"
#include "server/staging/stage_area.hpp"
#include "server/worker_groups.hpp"

namespace narwhal::server {

// The scoreboard's slots. A slot belongs to one worker from before its fork until it is reaped.
class SlotPool {
 public:
  // The lowest free slot; nullopt if all are taken.
  std::optional<std::uint32_t> take() {
    for (std::uint32_t slot = 0; slot < taken_.size(); ++slot) {
      if (taken_[slot]) continue;
      taken_[slot] = true;
      return slot;
    }
    return std::nullopt;
  }
  // The highest one, so that workers are numbered as if it were not taken.
  std::optional<std::uint32_t> take_last() {
    for (std::size_t slot = taken_.size(); slot-- > 0;) {
      if (taken_[slot]) continue;
      taken_[slot] = true;
      return static_cast<std::uint32_t>(slot);
    }
    return std::nullopt;
  }
  // Its worker has ended: it is to be cleared and given back when what it counts has been taken over.
  void ended(std::uint32_t slot) { ended_.push_back(slot); }
  std::vector<std::uint32_t> take_ended() { return std::exchange(ended_, {}); }
  void give_back(std::uint32_t slot) {
    NARWHAL_CHECK(slot < taken_.size() && taken_[slot]);
    taken_[slot] = false;
  }

 private:
  std::bitset<Scoreboard::slots_max> taken_;
  std::vector<std::uint32_t> ended_;
};

// Random numbers that differ from server to server.
class Dice {
 public:
  std::uint32_t roll() { return static_cast<std::uint32_t>(generator_()); }

 private:
  std::minstd_rand generator_{static_cast<std::uint32_t>(now().time_since_epoch().count())};
};

struct Site {
  Scoreboard scoreboard;
  StageArea stage_area;
  TemplateBody body;
  LogProcess log_process{};
  SlotPool slots{};
  Dice dice{};  // varies the back-off
  Leftovers leftovers{};
  PoisonWatch poison{};
  WorkerGroups worker_groups{};
  Ledger ledger{};
  FileWatch file_watch{};  // on if the newest generation has the setting `reload`
};

}  // namespace narwhal::server
