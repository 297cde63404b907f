#include "worker/path_match.hpp"

#include <narwhal/text.hpp>

namespace narwhal::worker {

bool has_dot_segment(std::string_view path) noexcept {
  std::size_t dots = 0;
  bool only_dots = true;
  for (std::size_t at = 0; at < path.size(); ++at) {
    const int escaped = detail::escaped_byte(path, at);
    const char byte = escaped < 0 ? path[at] : static_cast<char>(escaped);
    if (escaped >= 0) at += 2;
    if (byte == '/') {
      if (only_dots && (dots == 1 || dots == 2)) return true;
      dots = 0;
      only_dots = true;
    } else if (byte == '.') {
      ++dots;
    } else {
      only_dots = false;
    }
  }
  return only_dots && (dots == 1 || dots == 2);
}

bool is_below(std::string_view path, std::string_view prefix) noexcept {
  if (prefix.empty()) return true;
  return prefix_size(path, prefix) != std::string_view::npos && !has_dot_segment(path);
}

}  // namespace narwhal::worker
