#include "tools/flags.hpp"

#include <filesystem>

namespace narwhal::tools {

std::string compile_flags(const Places& places, Language language) {
  if (language == Language::rust) return "--crate-type cdylib";
  const std::string standard = language == Language::c ? "-std=c11" : "-std=c++20";
  // A compiler looks there by itself, and in another place in its order.
  const std::string includes = places.includes == "/usr/include" ? "" : " -I" + places.includes;
  return standard + " -fPIC -fvisibility=hidden" + includes;
}

Result<std::string> test_link_flags(const Places& places, Language language) {
  const std::string threads = "-pthread -ldl";
  if (language == Language::cpp) return threads;
  if (places.testing_library.empty()) return Error{"libnarwhal-testing.a is not installed (Debian: narwhal-dev)"};
  if (language == Language::c) return places.testing_library + " -lstdc++ " + threads;
  const std::string folder = std::filesystem::path(places.testing_library).parent_path();
  return "-L native=" + folder + " -l static=narwhal-testing -l stdc++";
}

}  // namespace narwhal::tools
