// A Bind as text, for the log and --print-config.
#pragma once

#include <string>

#include "core/config.hpp"

namespace narwhal {

// "127.0.0.1:8000", "[::1]:8000", "unix:/run/x.sock", "fd://3": the shortest text that the setting `bind` reads as
// the same Bind.
std::string bind_text(const Bind& bind);

}  // namespace narwhal
