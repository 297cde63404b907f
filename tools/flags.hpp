// narwhal-plugin flags: what a compiler needs for a plugin and for its test.
#pragma once

#include <string>

#include "core/result.hpp"
#include "tools/places.hpp"
#include "tools/project.hpp"

namespace narwhal::tools {

// "-std=c++20 -fPIC -fvisibility=hidden -I...".
std::string compile_flags(const Places& places, Language language);
// "-pthread -ldl"; in other languages than C++ also the library with the harness, which is an Error where it is missing.
Result<std::string> test_link_flags(const Places& places, Language language);

}  // namespace narwhal::tools
