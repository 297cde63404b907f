#include "server/canary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace narwhal::server {
namespace {

double share_of_errors(const CanaryCounts& counts) {
  return counts.requests == 0 ? 0 : static_cast<double>(counts.errors) / static_cast<double>(counts.requests);
}

bool fails_more(const CanaryCounts& fresh, const CanaryCounts& old) {
  return fresh.errors >= canary_errors_min && share_of_errors(fresh) > 2 * share_of_errors(old) &&
         share_of_errors(fresh) > share_of_errors(old) + 0.01;
}

bool is_slower(const CanaryCounts& fresh, const CanaryCounts& old) {
  return old.requests >= canary_requests_min && fresh.ninth_decile() > canary_slow &&
         fresh.ninth_decile() >= 4 * old.ninth_decile();
}

}  // namespace

std::chrono::microseconds CanaryCounts::ninth_decile() const {
  const std::uint64_t all = std::accumulate(latency.begin(), latency.end(), std::uint64_t{0});
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < latency.size(); ++bucket) {
    seen += latency[bucket];
    if (all != 0 && seen * 10 >= all * 9) return std::chrono::microseconds{std::int64_t{1} << bucket};
  }
  return std::chrono::microseconds{0};
}

Verdict judge(const CanaryCounts& fresh, const CanaryCounts& old, bool time_is_up) {
  if (fresh.crashes >= 2 && fresh.crashes > old.crashes) return Verdict::back;
  if (fresh.requests >= canary_requests_min) {
    if (fails_more(fresh, old)) return Verdict::back;
    if (time_is_up && is_slower(fresh, old)) return Verdict::back;
  }
  return time_is_up ? Verdict::on : Verdict::wait;
}

std::string figures(const CanaryCounts& counts) {
  const std::string crashes = counts.crashes == 0 ? "no worker" : std::to_string(counts.crashes);
  const std::string time = counts.requests == 0
                               ? ""
                               : fmt::format(" 9 in 10 took {:.3g} ms at most,",
                                             std::chrono::duration<double, std::milli>(counts.ninth_decile()).count());
  return fmt::format("{} of {} requests failed,{} {} crashed", counts.errors, counts.requests, time, crashes);
}

unsigned canary_workers(Share share, unsigned workers) {
  const unsigned amount = share.is_percent ? (workers * share.amount + 99) / 100 : share.amount;
  return share.amount == 0 ? 0 : std::clamp(amount, 1u, workers);
}

}  // namespace narwhal::server
