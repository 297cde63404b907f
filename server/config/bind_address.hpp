// A bind as text: HOST, HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd://N, optionally with http:// or tcp:// in front, and
// with options: unix:/run/shop.sock?mode=0660&group=www-data. The last '?' begins the options.
// A name is not looked up here.
#pragma once

#include <string>
#include <string_view>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// The error is only the reason: "port '80000' is not a number from 0 to 65535".
Result<Bind> parse_bind(std::string_view text);

}  // namespace narwhal::server
