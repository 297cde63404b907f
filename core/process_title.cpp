#include "core/process_title.hpp"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace narwhal {
namespace {

char* space = nullptr;
std::size_t space_bytes = 0;

// Extends the space as long as the strings follow each other without a gap, as the kernel places them.
void claim(char* const* strings) {
  for (; *strings != nullptr; ++strings) {
    if (space == nullptr) space = *strings;
    if (*strings != space + space_bytes) return;
    space_bytes += ::strlen(*strings) + 1;
  }
}

// The memory of a copy of argv or environ. It lives as long as the process: libc and callers of getenv() keep pointers.
struct Copy {
  std::vector<char*> strings;  // ends with a null
  std::string bytes;
};

char** moved(char* const* strings, Copy& copy) {
  std::vector<std::size_t> starts;
  for (; *strings != nullptr; ++strings) {
    starts.push_back(copy.bytes.size());
    copy.bytes.append(*strings, ::strlen(*strings) + 1);
  }
  for (const std::size_t start : starts) copy.strings.push_back(copy.bytes.data() + start);
  copy.strings.push_back(nullptr);
  return copy.strings.data();
}

}  // namespace

char** keep_title_space(int argc, char** argv) {
  // Never destroyed, but always reachable, because unsetenv() drops pointers.
  static auto& copies = *new std::array<Copy, 2>;
  char** const arguments = moved(argv, copies[0]);
  claim(argv);
  if (argc > 0 && environ != nullptr) {
    claim(environ);
    environ = moved(environ, copies[1]);
  }
  // libc took these from argv[0], for messages such as assert's.
  static char* const name = arguments[0];
  if (name != nullptr) {
    const char* const slash = ::strrchr(name, '/');
    program_invocation_name = name;
    program_invocation_short_name = const_cast<char*>(slash != nullptr ? slash + 1 : name);
  }
  return arguments;
}

void find_title_space() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  // The name, the second field, may contain anything; after it come the state (3) and numbers.
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  std::uintptr_t begin = 0, end = 0;
  for (int number = 3; number < 48 && fields >> field; ++number) {
  }
  if (!(fields >> begin >> end) || begin == 0 || end <= begin) return;
  std::vector<char*> arguments;
  for (auto* at = reinterpret_cast<char*>(begin); at < reinterpret_cast<char*>(end); at += ::strlen(at) + 1)
    arguments.push_back(at);
  arguments.push_back(nullptr);
  keep_title_space(static_cast<int>(arguments.size()) - 1, arguments.data());
}

void set_process_title(std::string_view title) noexcept {
  char name[16] = {};
  ::memcpy(name, title.data(), std::min(title.size(), sizeof name - 1));
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
  if (space_bytes == 0) return;
  const std::size_t shown = std::min(title.size(), space_bytes - 1);
  ::memcpy(space, title.data(), shown);
  // Zeros to the end: the kernel shows all of argv's memory, and old bytes would follow the title.
  ::memset(space + shown, 0, space_bytes - shown);
}

}  // namespace narwhal
