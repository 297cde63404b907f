// Where applications are mounted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// "/" and "" become "", "/shop/" becomes "/shop". The error is the reason alone.
Result<std::string> normal_prefix(std::string_view text);
// Longest prefix first, so that the first one that fits is the right one; else as written.
void sort_routes(std::vector<Route>& routes);
// True for "module:callable": a ':' with no '/' before it. `callable` may be a call with any text in it.
bool is_python_app(std::string_view app);
// True for what else names a file: it holds a slash or ends in ".so". All others are the name of an installed plugin or,
// where there is none, of a Python module.
bool is_plugin_path(std::string_view app);

}  // namespace narwhal::server
