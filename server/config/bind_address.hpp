// A bind as it is written: HOST, HOST:PORT, :PORT, [V6]:PORT, unix:PATH, fd://N, with http:// or tcp:// in front if
// one likes. A name is not looked up here.
#pragma once

#include <string>
#include <string_view>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// The error is the reason alone: "port '80000' is not a number from 0 to 65535".
Result<Bind> parse_bind(std::string_view text);

}  // namespace narwhal::server
