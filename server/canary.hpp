// Canary: whether a new generation does as well as the old one beside it. Pure: counts in, a verdict out.
// Rule   back at once   when two of its workers have crashed, and more than of the old generation's;
//        back           when at least requests_min of its requests were answered and either its share of 5xx answers is more
//                       than twice the old generation's and a percentage point above it, with errors_min of them at least,
//                       or, when the time is up, nine in ten of its answers need four times as long, and longer than slow;
//        on             when the time is up. Too few requests say nothing: the crashes alone decide then.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/scoreboard.hpp"

namespace narwhal::server {

// What the workers of one generation have done since the comparison began.
struct CanaryCounts {
  std::uint64_t requests = 0, errors = 0;  // answered; with 5xx
  unsigned crashes = 0;                    // of workers
  std::array<std::uint64_t, RouteCounters::buckets> latency{};

  // So long took nine in ten answers at most; the upper end of the bucket.
  std::chrono::microseconds ninth_decile() const;
};

enum class Verdict { wait, on, back };

constexpr std::uint64_t canary_requests_min = 50, canary_errors_min = 5;
constexpr std::chrono::milliseconds canary_slow{20};

Verdict judge(const CanaryCounts& fresh, const CanaryCounts& old, bool time_is_up);
// "3 of 200 requests failed, 9 in 10 took 4.1 ms at most, no worker crashed".
std::string figures(const CanaryCounts& counts);
// How many of `workers` a share is: at least 1, at most all.
unsigned canary_workers(Share share, unsigned workers);

}  // namespace narwhal::server
