// narwhal-plugin run: builds a project, serves its plugin, and builds it again when a source changes. The server reloads
// what was built; while a build fails it goes on with the last one.
// Errors  a Result; its value is the exit status.
#pragma once

#include "core/result.hpp"
#include "tools/places.hpp"
#include "tools/process.hpp"

namespace narwhal::tools {

// `make` with this program's path, in the current folder.
Result<int> build_project(const Places& places, const Words& targets);

// `arguments` are the server's. Returns when the server has ended.
Result<int> run_project(const Places& places, const Words& arguments);

}  // namespace narwhal::tools
