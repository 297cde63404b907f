// NumberTable: what plugins count: numbers that all workers share, and metrics. Part of the scoreboard's mapping, so it
// lives as long as the master: neither a reload nor a crash loses anything of it.
// Ownership  any process enters and writes; nothing is removed. A gauge's values belong to the workers' slots, and go with them.
// Errors     enter(): an Error says why there can be no such entry.
// Threads    any.
// Trust      as the scoreboard: a worker may have overwritten it. read() returns what is well-formed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal {

struct NumberTable {
  static constexpr std::size_t entries_max = 512, gauges_max = 64, bounds_max = 24;
  static constexpr std::size_t name_max = 100, labels_max = 200, help_max = 120;

  enum class Kind : std::uint32_t { shared, counter, gauge, histogram };
  enum class State : std::uint32_t { unused, written, complete };

  struct Entry {
    Kind kind{};
    std::uint32_t gauge = 0;  // its place among a slot's values
    std::uint32_t name_size = 0, labels_size = 0, help_size = 0, bound_count = 0;
    char name[name_max], labels[labels_max], help[help_max];
    double bounds[bounds_max];
    std::atomic<std::int64_t> shared{0};
    std::atomic<double> total{0};                       // of a counter; the sum of a histogram's values
    std::atomic<std::uint64_t> counts[bounds_max + 1];  // of values, by the first bound that is not smaller
  };
  // The values of all gauges in one worker.
  struct Gauges {
    std::atomic<double> values[gauges_max];
  };

  struct Key {
    Kind kind = Kind::shared;
    std::string_view name, labels{}, help{};
    std::span<const double> bounds{};
  };
  // The entry for this key; it is made if there is none.
  Result<Entry*> enter(const Key& key);

  // A consistent copy of an entry.
  struct Number {
    Kind kind{};
    std::uint32_t gauge = 0;
    std::string name, labels, help;
    std::vector<double> bounds;
    double value = 0;
    std::vector<std::uint64_t> counts;
  };
  // In the order of their names and labels; the values of gauges are left out.
  std::vector<Number> read() const;

  std::atomic<std::uint32_t> gauges_used{0};
  // Not in the entries: a look at all of them would give memory to each.
  std::atomic<State> states[entries_max]{};
  Entry entries[entries_max];
};

}  // namespace narwhal
