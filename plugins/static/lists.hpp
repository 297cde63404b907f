// Lists in one text: "index.html, index.htm".
#pragma once

#include <string_view>

namespace narwhal::static_files {

inline std::string_view trim(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Calls take(element) for what stands between the commas, without white space around it; not for empty elements.
template <class Take>
void for_each_in_list(std::string_view list, Take take) {
  while (!list.empty()) {
    const std::string_view element = list.substr(0, list.find(','));
    list.remove_prefix(element.size() < list.size() ? element.size() + 1 : list.size());
    if (const std::string_view trimmed = trim(element); !trimmed.empty()) take(trimmed);
  }
}

}  // namespace narwhal::static_files
