// Where the parts of this narwhal lie, found from this program's own file: so it works installed, in a Python package and
// in a build folder.
#pragma once

#include <string>

#include "core/result.hpp"

namespace narwhal::tools {

struct Places {
  std::string self;             // this program
  std::string server;           // narwhal
  std::string includes;         // the folder that has narwhal/plugin.h
  std::string testing_library;  // libnarwhal-testing.a; empty: not installed
};

// An Error names what is missing and its Debian package.
Result<Places> find_places();

}  // namespace narwhal::tools
