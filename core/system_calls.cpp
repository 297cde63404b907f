#include "core/system_calls.hpp"

#include <algorithm>
#include <charconv>
#include <span>

#include "core/text_file.hpp"

namespace narwhal {
namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024;

std::span<const NamedSystemCall> all() noexcept { return {system_calls, system_call_count}; }

std::optional<int> number_of(std::string_view text) {
  int number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = code == std::errc() && end == text.data() + text.size() && number >= 0 && number < 0x40000000;
  return is_number ? std::optional(number) : std::nullopt;
}

std::string_view without_comment(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const std::size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
}

}  // namespace

std::optional<int> system_call_number(std::string_view name) noexcept {
  for (const NamedSystemCall& each : all()) {
    if (each.name == name) return each.number;
  }
  return std::nullopt;
}

std::string_view system_call_name(int number) noexcept {
  for (const NamedSystemCall& each : all()) {
    if (each.number == number) return each.name;
  }
  return {};
}

std::string system_call_text(int number) {
  const std::string_view name = system_call_name(number);
  return name.empty() ? std::to_string(number) : std::string(name);
}

Result<std::vector<int>> parse_system_calls(std::string_view text, const std::string& file_name) {
  std::vector<int> numbers;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view word = without_comment(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    auto number = system_call_number(word);
    if (!number) number = number_of(word);
    if (!number)
      return Error{"seccomp_file: " + file_name + ":" + std::to_string(line) + ": '" + std::string(word) +
                   "' is not a system call that this build knows"};
    numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

Result<std::vector<int>> read_system_calls(const std::string& path, IfMissing missing) {
  const auto file = read_text_file(path, file_bytes_max);
  if (!file) return Error{"seccomp_file: " + file.error()};
  if (!file->found && missing == IfMissing::is_empty) return std::vector<int>();
  if (!file->found) return errno_error("seccomp_file: open " + path, ENOENT);
  if (file->text.size() > file_bytes_max) return Error{"seccomp_file: " + path + ": is larger than 1 MiB"};
  return parse_system_calls(file->text, path);
}

}  // namespace narwhal
