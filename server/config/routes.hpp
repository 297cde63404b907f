// Where applications are mounted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// "/" and "" become "", "/shop/" becomes "/shop". The error is only the reason.
Result<std::string> normal_prefix(std::string_view text);
// The values of trailing_slash, in the order of their enumerators.
constexpr std::string_view trailing_slash_words[] = {"as_sent", "strict", "tolerant"};
// Returns what is wrong with the text; `out` is then unchanged.
std::optional<std::string> read_trailing_slash(std::string_view text, TrailingSlash& out);
// The first host that both routes have, where their prefixes are the same too; "" for any host. Nullopt: a request can
// reach only one of them.
std::optional<std::string> common_host(const Route& one, const Route& other);
// Longest prefix first, so that the first one that matches is the right one; equally long ones in the given order.
void sort_routes(std::vector<Route>& routes);
// True for "module:callable": a ':' with no '/' before it. `callable` may be a call with any text in it.
bool is_python_app(std::string_view app);
// True for any other text that names a file: it contains a slash or ends in ".so". The rest are names of installed
// plugins or, if no plugin has that name, of Python modules.
bool is_plugin_path(std::string_view app);

}  // namespace narwhal::server
