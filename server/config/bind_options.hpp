// What follows the '?' in a bind: "mode=0660&owner=shop&group=www-data&backlog=64", "allow_from=10.0.0.0/8".
#pragma once

#include <string_view>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// Those that this kind of socket has; others are an error. The error is only the reason.
Result<BindOptions> parse_bind_options(std::string_view text, const Bind& bind);

}  // namespace narwhal::server
