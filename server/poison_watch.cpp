#include "server/poison_watch.hpp"

#include <algorithm>

#include "core/escape.hpp"
#include "core/log.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t deaths_max = 256;  // kept, of a window
constexpr std::chrono::seconds look_every{1};
constexpr auto relaxed = std::memory_order_relaxed;

bool holds(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

std::string shown(const std::string& text) {
  std::string escaped;
  append_escaped(escaped, text);
  return escaped;
}

}  // namespace

void PoisonWatch::died(PoisonTable& table, std::vector<std::string> suspects, const Config& config, Instant now) {
  if (config.poison_limit == 0 || suspects.empty()) return;
  std::sort(suspects.begin(), suspects.end());
  suspects.erase(std::unique(suspects.begin(), suspects.end()), suspects.end());
  for (Refused& refused : refused_) {
    if (!holds(suspects, refused.text)) continue;
    refused.last_death = now;
    refused.trial_given = false;
    refused.trial_taken = unset;
    refused.entry->trials.store(0, relaxed);
  }
  while (!deaths_.empty() && (deaths_.front().at + config.poison_window <= now || deaths_.size() >= deaths_max))
    deaths_.pop_front();
  deaths_.push_back({now, suspects});
  for (const std::string& text : suspects) {
    if (!is_refused(text) && deaths_of(text) >= config.poison_limit && !has_company(text))
      refuse(table, text, config, now);
  }
}

bool PoisonWatch::is_refused(const std::string& text) const {
  return std::any_of(refused_.begin(), refused_.end(), [&](const Refused& each) { return each.text == text; });
}

std::size_t PoisonWatch::deaths_of(const std::string& text) const {
  const auto count =
      std::count_if(deaths_.begin(), deaths_.end(), [&](const Death& death) { return holds(death.suspects, text); });
  return static_cast<std::size_t>(count);
}

// Whether another request was running each time that a worker died of this one.
bool PoisonWatch::has_company(const std::string& text) const {
  std::vector<std::string> common;
  bool is_first = true;
  for (const Death& death : deaths_) {
    if (!holds(death.suspects, text)) continue;
    if (std::exchange(is_first, false)) common = death.suspects;
    std::erase_if(common, [&](const std::string& other) { return !holds(death.suspects, other); });
  }
  return common.size() > 1;
}

void PoisonWatch::refuse(PoisonTable& table, const std::string& text, const Config& config, Instant now) {
  PoisonTable::Entry* const entry = table.enter(text);
  if (entry == nullptr) {
    return log::error("Poison breaker: {} has ended {} workers, but {} other requests are refused already: it is not",
                      shown(text), deaths_of(text), PoisonTable::entries_max);
  }
  refused_.push_back({entry, text, config.poison_window, now});
  next_look_ = now + look_every;
  log::error(
      "Poison breaker: {} was running in {} workers that died within {} s: it is answered 503 until it has been "
      "quiet for {} s",
      shown(text), deaths_of(text), config.poison_window.count(), config.poison_window.count());
}

void PoisonWatch::settle(PoisonTable& table, Instant now) {
  if (now < deadline()) return;
  next_look_ = now + look_every;
  std::erase_if(refused_, [&](Refused& refused) {
    const bool over = is_over(refused, now);
    if (over) end(table, refused);
    return over;
  });
}

bool PoisonWatch::is_over(Refused& refused, Instant now) {
  if (refused.last_death + refused.window > now) return false;
  const bool is_quiet = refused.entry->last_refused.load(relaxed) + refused.window <= now;
  if (!refused.trial_given) {
    if (is_quiet) return true;
    refused.trial_given = true;
    refused.entry->trials.store(1, relaxed);
    return false;
  }
  if (refused.trial_taken == unset && refused.entry->trials.load(relaxed) == 0) refused.trial_taken = now;
  return refused.trial_taken == unset ? is_quiet : refused.trial_taken + refused.window <= now;
}

void PoisonWatch::end(PoisonTable& table, const Refused& refused) {
  const auto count = refused.entry->refused.load(relaxed);
  table.remove(*refused.entry);
  log::warning("Poison breaker: {} is let through again; {} request{} answered 503", shown(refused.text), count,
               count == 1 ? " was" : "s were");
}

void PoisonWatch::forget(PoisonTable& table) {
  for (const Refused& refused : refused_) end(table, refused);
  refused_.clear();
  deaths_.clear();
}

}  // namespace narwhal::server
