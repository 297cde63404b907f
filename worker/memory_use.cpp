#include "worker/memory_use.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/fd.hpp"

namespace narwhal::worker {

namespace {

// The beginning of a file of /proc: the kernel gives it in one read.
std::string_view read_start(const char* path, char* buffer, std::size_t room) noexcept {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const ssize_t size = ::read(file.get(), buffer, room);
  return size > 0 ? std::string_view(buffer, static_cast<std::size_t>(size)) : std::string_view{};
}

std::int64_t number_at(std::string_view text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::int64_t resident_memory() noexcept {
  char buffer[256];
  const std::string_view text = read_start("/proc/self/statm", buffer, sizeof buffer);  // "size resident ...", in pages
  const std::size_t second = text.find(' ');
  if (second == std::string_view::npos) return -1;
  const std::int64_t pages = number_at(text.substr(second));
  return pages < 0 ? -1 : pages * ::sysconf(_SC_PAGESIZE);
}

std::int64_t proportional_memory() noexcept {
  char buffer[1024];
  const std::string_view text = read_start("/proc/self/smaps_rollup", buffer, sizeof buffer);
  constexpr std::string_view name = "\nPss:";
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return -1;
  const std::int64_t kib = number_at(text.substr(at + name.size()));
  return kib < 0 ? -1 : kib * 1024;
}

}  // namespace narwhal::worker
