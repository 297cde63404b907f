// For "did you mean": the known name that is closest to a mistyped one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace narwhal {

// By optimal string alignment distance (a wrong, missing, extra or swapped letter counts one). Empty if no name is
// near: more than a third of the letters, or more than `edits_max`, differ.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known,
                              std::size_t edits_max = SIZE_MAX);

}  // namespace narwhal
