// System calls by the names and numbers of this build's kernel headers, and the lists of them that a seccomp_file has.
// File     one name a line, or a number where the headers know no name; '#' begins a comment.
// Threads  any; system_call_name() also in signal handlers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal {

// All that there are, from meson/system_calls.py.
struct NamedSystemCall {
  std::string_view name;
  int number;
};
extern const NamedSystemCall system_calls[];
extern const std::size_t system_call_count;

std::optional<int> system_call_number(std::string_view name) noexcept;
std::string_view system_call_name(int number) noexcept;  // empty: none
// What a seccomp_file has for it.
std::string system_call_text(int number);
Result<std::vector<int>> parse_system_calls(std::string_view text, const std::string& file_name);
// `missing`: whether a file that does not exist is an empty list.
enum class IfMissing { is_empty, is_an_error };
Result<std::vector<int>> read_system_calls(const std::string& path, IfMissing missing);

}  // namespace narwhal
