#include "core/process_title.hpp"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

namespace narwhal {
namespace {

char* space = nullptr;
std::size_t space_bytes = 0;

// Extends the space while the strings follow one another without a gap, as the kernel lays them out.
void claim(char* const* strings) {
  for (; *strings != nullptr; ++strings) {
    if (space == nullptr) space = *strings;
    if (*strings != space + space_bytes) return;
    space_bytes += ::strlen(*strings) + 1;
  }
}

// Lives as long as the process: libc and whoever called getenv() keep pointers to it.
char** moved(char* const* strings) {
  std::size_t count = 0;
  while (strings[count] != nullptr) ++count;
  char** const copy = new char*[count + 1];
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bytes = ::strlen(strings[i]) + 1;
    copy[i] = static_cast<char*>(::memcpy(new char[bytes], strings[i], bytes));
  }
  copy[count] = nullptr;
  return copy;
}

}  // namespace

char** keep_title_space(int argc, char** argv) {
  static char** arguments;  // never freed, and never lost either
  arguments = moved(argv);
  claim(argv);
  if (argc > 0 && environ != nullptr) {
    claim(environ);
    environ = moved(environ);
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

void set_process_title(std::string_view title) noexcept {
  char name[16] = {};
  ::memcpy(name, title.data(), std::min(title.size(), sizeof name - 1));
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
  if (space_bytes == 0) return;
  const std::size_t shown = std::min(title.size(), space_bytes - 1);
  ::memcpy(space, title.data(), shown);
  // Zeros to the end: the kernel shows all of argv's memory, and what is left there would follow the title.
  ::memset(space + shown, 0, space_bytes - shown);
}

}  // namespace narwhal
