#include "plugins/static/target.hpp"

#include <narwhal/text.hpp>

namespace narwhal::static_files {

bool is_served_name(std::string_view name, bool first, Hidden hidden) noexcept {
  constexpr std::string_view refused("/\\\0", 3);
  if (name.empty() || name == "." || name == ".." || name.find_first_of(refused) != name.npos) return false;
  return name.front() != '.' || hidden == Hidden::served || (first && name == ".well-known");
}

std::optional<Target> read_target(std::string_view path, Hidden hidden) {
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  Target target;
  target.below.reserve(path.size());
  while (!path.empty()) {
    const std::string_view raw = path.substr(0, path.find('/'));
    target.folder = raw.size() < path.size();
    path.remove_prefix(target.folder ? raw.size() + 1 : raw.size());
    const bool first = target.below.empty();
    if (!first) target.below += '/';
    const std::size_t begin = target.below.size();
    if (raw.find('%') == raw.npos) {
      target.below += raw;
    } else {
      target.below += percent_decode(raw);
    }
    if (!is_served_name(std::string_view(target.below).substr(begin), first, hidden)) return std::nullopt;
  }
  if (target.below.empty()) target.folder = true;
  return target;
}

}  // namespace narwhal::static_files
