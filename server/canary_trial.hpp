// CanaryTrial: the part of a reload in which some workers of the new generation serve beside the old one, of which as many
// accept nothing meanwhile. They stay, because a worker that is forked later may import other code. Then the new one gets all its workers, and the caller lets it take over; or it goes back.
//   comparing -> growing -> passed, or failed from both
// Ownership  neither generation: both outlive it.
// Blocks     never: settle() is called in each turn of the master's loop.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/clock.hpp"
#include "server/canary.hpp"
#include "server/live_generation.hpp"

namespace narwhal::server {

class CanaryTrial {
 public:
  enum class Stage { comparing, growing, passed, failed };

  // `fresh` is ready, with the canary's number of workers: they are admitted.
  CanaryTrial(LiveGeneration& old, LiveGeneration& fresh, const Scoreboard& scoreboard, Instant now);

  Stage settle(Instant now);
  // It fails, at the next settle().
  void abandon(std::string reason) { fail(std::move(reason)); }
  // All workers of the old generation accept again.
  void give_back();
  Instant deadline() const { return next_look_; }
  const std::string& why() const { return why_; }  // it has failed
  // "canary: 1 of 4 workers run generation 2": for people.
  std::string text() const;

 private:
  // Adds up what the workers of a generation count, although those that end take their counts with them.
  class Tally {
   public:
    void read(const LiveGeneration& generation, const Scoreboard& scoreboard);
    const CanaryCounts& counts() const { return counts_; }

   private:
    struct Reading {
      std::int32_t pid = 0;
      CanaryCounts counts;
    };
    std::map<std::uint32_t, Reading> last_;  // by slot
    CanaryCounts counts_;
    unsigned crashes_before_ = 0;
    bool is_first_ = true;
  };

  void compare(Instant now);
  void look_at_growth(Instant now);
  void fail(std::string reason);
  std::string comparison() const;

  LiveGeneration& old_;
  LiveGeneration& fresh_;
  const Scoreboard& scoreboard_;
  Tally old_tally_, fresh_tally_;
  Stage stage_ = Stage::comparing;
  Instant end_, next_look_;  // of the stage
  std::string why_;
};

}  // namespace narwhal::server
