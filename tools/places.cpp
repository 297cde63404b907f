#include "tools/places.hpp"

#include <filesystem>

namespace narwhal::tools {

namespace {

namespace fs = std::filesystem;

// The first of these below `folder` that exists; else empty.
fs::path first_of(const fs::path& folder, std::initializer_list<const char*> candidates) {
  for (const char* candidate : candidates) {
    std::error_code ignored;
    if (fs::path path = folder / candidate; fs::exists(path, ignored)) return path.lexically_normal();
  }
  return {};
}

}  // namespace

Result<Places> find_places() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return Error{"read /proc/self/exe: " + error.message() + ": is /proc mounted?"};
  const fs::path folder = self.parent_path();
  Places places;
  places.self = self;
  places.server = first_of(folder, {"narwhal", "../narwhal"});
  const fs::path header = first_of(folder, {"../include/narwhal/plugin.h", "../../../include/narwhal/plugin.h"});
  places.includes = header.parent_path().parent_path();
  places.testing_library = first_of(folder, {"../" NARWHAL_LIBDIR "/libnarwhal-testing.a", "../libnarwhal-testing.a"});
  if (places.server.empty())
    return Error{"the server, narwhal, is not beside " + self.string() + ": install both from one package"};
  if (places.includes.empty()) return Error{"narwhal's headers are not installed (Debian: narwhal-dev)"};
  return places;
}

}  // namespace narwhal::tools
