// "did you mean": the known name that a mistyped one is closest to.
#pragma once

#include <span>
#include <string_view>

namespace narwhal::server {

// By optimal string alignment distance (one wrong, missing, extra or swapped letter counts one). Empty when nothing
// is near: more than a third of the letters differ.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known);

}  // namespace narwhal::server
