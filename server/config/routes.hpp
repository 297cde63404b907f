// Where applications are mounted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// "/" and "" become "", "/shop/" becomes "/shop". The error is only the reason.
Result<std::string> normal_prefix(std::string_view text);
// Longest prefix first, so that the first one that matches is the right one; equally long ones in the given order.
void sort_routes(std::vector<Route>& routes);
// True for "module:callable": a ':' with no '/' before it. `callable` may be a call with any text in it.
bool is_python_app(std::string_view app);
// True for any other text that names a file: it contains a slash or ends in ".so". The rest are names of installed
// plugins or, if no plugin has that name, of Python modules.
bool is_plugin_path(std::string_view app);

}  // namespace narwhal::server
