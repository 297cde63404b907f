// For "did you mean": the known name that is closest to a mistyped one.
#pragma once

#include <span>
#include <string_view>

namespace narwhal::server {

// By optimal string alignment distance (a wrong, missing, extra or swapped letter counts one). Empty if no name is
// near: more than a third of the letters differ.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known);

}  // namespace narwhal::server
