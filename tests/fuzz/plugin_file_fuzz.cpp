// What a plugin's file says of itself: whatever the bytes are, they are refused or read, and nothing is read beyond them.
// The seed is a plugin of 2 KiB: cc -shared -nostdlib -s -Wl,-z,noseparate-code,-z,norelro.
#include <cstdint>
#include <string_view>

#include "tools/plugin_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(narwhal::tools::read_plugin({reinterpret_cast<const char*>(data), size}));
  return 0;
}
