#include "core/number_table.hpp"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

namespace narwhal {
namespace {

using Kind = NumberTable::Kind;
using State = NumberTable::State;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::string_view own_prefix = "narwhal_";
// A process that dies while it writes an entry leaves it so.
constexpr int written_patience = 10'000;  // turns

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::shared: return "shared number";
    case Kind::counter: return "counter";
    case Kind::gauge: return "gauge";
    case Kind::histogram: break;
  }
  return "histogram";
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_metric_name(std::string_view name) {
  if (name.empty() || name.starts_with(own_prefix)) return false;
  const auto is_valid = [](char c) { return is_letter(c) || is_digit(c) || c == ':'; };
  return !is_digit(name.front()) && std::all_of(name.begin(), name.end(), is_valid);
}

// name="value",name="value": each value with \\, \" and \n escaped.
bool is_label_list(std::string_view text) {
  if (!is_plain(text)) return false;
  while (!text.empty()) {
    const std::size_t name = std::min(text.find('='), text.size());
    const std::string_view label = text.substr(0, name);
    const bool is_name = !label.empty() && !is_digit(label.front()) && label != "le" &&
                         std::all_of(label.begin(), label.end(), [](char c) { return is_letter(c) || is_digit(c); });
    text.remove_prefix(name);
    if (!is_name || !text.starts_with("=\"")) return false;
    text.remove_prefix(2);
    while (!text.empty() && text.front() != '"') {
      const bool is_escape = text.front() == '\\';
      if (is_escape && (text.size() < 2 || std::string_view("\\\"n").find(text[1]) == text.npos)) return false;
      text.remove_prefix(is_escape ? 2 : 1);
    }
    if (text.empty()) return false;
    text.remove_prefix(1);
    if (text.empty()) return true;
    if (text.front() != ',' || text.size() == 1) return false;
    text.remove_prefix(1);
  }
  return true;
}

bool are_bounds(std::span<const double> bounds) {
  return !bounds.empty() && bounds.size() <= NumberTable::bounds_max &&
         std::all_of(bounds.begin(), bounds.end(), [](double bound) { return std::isfinite(bound); }) &&
         std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end();
}

// What is wrong with a key; empty: nothing.
std::string fault_of(const NumberTable::Key& key) {
  if (key.name.size() > NumberTable::name_max)
    return fmt::format("its name has more than {} bytes", NumberTable::name_max);
  if (key.kind == Kind::shared) return key.name.empty() ? "it has no name" : "";
  if (!is_metric_name(key.name))
    return "its name is not one for a metric: letters, digits, '_' and ':', not beginning with a digit or 'narwhal_'";
  if (key.labels.size() > NumberTable::labels_max)
    return fmt::format("its labels have more than {} bytes", NumberTable::labels_max);
  if (!is_label_list(key.labels))
    return fmt::format("its labels are not a list such as a=\"b\",c=\"d\": {}", key.labels);
  if (key.help.size() > NumberTable::help_max || !is_plain(key.help))
    return fmt::format("its help is not one line of at most {} bytes", NumberTable::help_max);
  if ((key.kind == Kind::histogram) != !key.bounds.empty()) return "a histogram has bounds, and nothing else has";
  if (key.kind == Kind::histogram && !are_bounds(key.bounds))
    return fmt::format("its bounds are not 1 to {} finite numbers that grow", NumberTable::bounds_max);
  return "";
}

template <std::size_t N>
std::string_view text_of(const char (&text)[N], std::uint32_t size) {
  return {text, std::min<std::size_t>(size, N)};
}
std::string_view name_of(const NumberTable::Entry& entry) { return text_of(entry.name, entry.name_size); }
std::string_view labels_of(const NumberTable::Entry& entry) { return text_of(entry.labels, entry.labels_size); }

std::span<const double> bounds_of(const NumberTable::Entry& entry) {
  return std::span(entry.bounds).first(std::min<std::size_t>(entry.bound_count, NumberTable::bounds_max));
}

bool is_metric(Kind kind) { return kind != Kind::shared; }

// Whether the two would be one family of /metrics.
bool have_one_name(const NumberTable::Entry& entry, const NumberTable::Key& key) {
  return is_metric(entry.kind) == is_metric(key.kind) && name_of(entry) == key.name;
}

bool gets_complete(const std::atomic<State>& entry_state) {
  State state = entry_state.load(std::memory_order_acquire);
  for (int turn = 0; state == State::written && turn < written_patience; ++turn) {
    ::sched_yield();
    state = entry_state.load(std::memory_order_acquire);
  }
  return state == State::complete;
}

void write(NumberTable::Entry& entry, const NumberTable::Key& key, std::uint32_t gauge) {
  entry.kind = key.kind;
  entry.gauge = gauge;
  entry.name_size = static_cast<std::uint32_t>(key.name.copy(entry.name, sizeof entry.name));
  entry.labels_size = static_cast<std::uint32_t>(key.labels.copy(entry.labels, sizeof entry.labels));
  entry.help_size = static_cast<std::uint32_t>(key.help.copy(entry.help, sizeof entry.help));
  entry.bound_count = static_cast<std::uint32_t>(key.bounds.size());
  std::copy(key.bounds.begin(), key.bounds.end(), entry.bounds);
}

// All processes look in the same order, so that one key gets one entry.
std::size_t first_place(const NumberTable::Key& key) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const std::string_view part : {key.name, std::string_view("{"), key.labels}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return hash % NumberTable::entries_max;
}

}  // namespace

Result<NumberTable::Entry*> NumberTable::enter(const Key& key) {
  const std::string what = fmt::format("{} '{}'", narwhal::name_of(key.kind), key.name);
  if (const std::string fault = fault_of(key); !fault.empty()) return Error{what + ": " + fault};
  for (std::size_t place = 0; place < entries_max; ++place) {
    const Entry& entry = entries[place];
    if (states[place].load(std::memory_order_acquire) != State::complete || !have_one_name(entry, key)) continue;
    if (entry.kind != key.kind)
      return Error{what + ": the name is that of a " + narwhal::name_of(entry.kind) + " already"};
    if (!std::ranges::equal(bounds_of(entry), key.bounds)) return Error{what + ": the name has other bounds already"};
  }
  std::uint32_t gauge = 0;
  bool has_gauge = false;
  for (std::size_t step = 0; step < entries_max; ++step) {
    const std::size_t place = (first_place(key) + step) % entries_max;
    Entry& entry = entries[place];
    State state = states[place].load(std::memory_order_acquire);
    if (state == State::unused) {
      if (key.kind == Kind::gauge && !has_gauge) {
        gauge = gauges_used.fetch_add(1, relaxed);
        has_gauge = true;
        if (gauge >= gauges_max) {
          gauges_used.store(gauges_max, relaxed);
          return Error{fmt::format("{}: there are {} gauges already", what, gauges_max)};
        }
      }
      if (states[place].compare_exchange_strong(state, State::written, std::memory_order_acq_rel)) {
        write(entry, key, gauge);
        states[place].store(State::complete, std::memory_order_release);
        return &entry;
      }
    }
    const bool is_same = gets_complete(states[place]) && have_one_name(entry, key) && labels_of(entry) == key.labels;
    if (is_same) return &entry;
  }
  return Error{fmt::format("{}: there are {} numbers and metrics already", what, entries_max)};
}

std::vector<NumberTable::Number> NumberTable::read() const {
  std::vector<Number> numbers;
  for (std::size_t place = 0; place < entries_max; ++place) {
    if (states[place].load(std::memory_order_acquire) != State::complete) continue;
    const Entry& entry = entries[place];
    const std::span<const double> bounds = bounds_of(entry);
    const Key key{entry.kind, narwhal::name_of(entry), labels_of(entry), text_of(entry.help, entry.help_size), bounds};
    if (entry.kind > Kind::histogram || !fault_of(key).empty()) continue;
    Number& number = numbers.emplace_back();
    number.kind = key.kind;
    number.gauge = static_cast<std::uint32_t>(std::min<std::size_t>(entry.gauge, gauges_max - 1));
    number.name = key.name;
    number.labels = key.labels;
    number.help = key.help;
    number.bounds.assign(bounds.begin(), bounds.end());
    number.value =
        key.kind == Kind::shared ? static_cast<double>(entry.shared.load(relaxed)) : entry.total.load(relaxed);
    for (std::size_t i = 0; key.kind == Kind::histogram && i <= bounds.size(); ++i)
      number.counts.push_back(entry.counts[i].load(relaxed));
  }
  std::sort(numbers.begin(), numbers.end(), [](const Number& a, const Number& b) {
    return std::tie(a.kind, a.name, a.labels) < std::tie(b.kind, b.name, b.labels);
  });
  return numbers;
}

}  // namespace narwhal
