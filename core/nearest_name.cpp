#include "core/nearest_name.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace narwhal {
namespace {

// A longer name is not a typing error, and the table below would grow with the length of foreign input.
constexpr std::size_t name_bytes_max = 64;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// A letter of the other case is no change.
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before(right.size() + 1), last(right.size() + 1), row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t change = lower(left[i - 1]) == lower(right[j - 1]) ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[right.size()];
}

// The one name that begins so: "warn" is cut off, not mistyped.
std::string_view completion(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t telling_bytes = 3;
  if (name.size() < telling_bytes) return {};
  const auto begins = [name](std::string_view candidate) { return candidate.starts_with(name); };
  const auto first = std::find_if(known.begin(), known.end(), begins);
  if (first == known.end() || std::any_of(first + 1, known.end(), begins)) return {};
  return *first;
}

}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known, std::size_t edits_max) {
  if (name.empty() || name.size() > name_bytes_max) return {};
  std::string_view nearest;
  std::size_t nearest_distance = std::min(edits_max, std::max<std::size_t>(1, name.size() / 3)) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t found = distance(name, candidate);
    if (found < nearest_distance) {
      nearest = candidate;
      nearest_distance = found;
    }
  }
  return nearest.empty() && edits_max == SIZE_MAX ? completion(name, known) : nearest;
}

}  // namespace narwhal
