// What a shared object's headers say, read from its bytes: nothing is mapped, nothing is run.
// Bounds   every offset, count and string is checked against the size; a damaged file is an Error with a message.
// Faults   "not an ELF file", "truncated: ...", "built for aarch64, but this machine is x86-64", "damaged: ...", ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal::server {

constexpr std::string_view plugin_symbol = "narwhal_plugin_v1";
constexpr unsigned plugin_major = 1;  // the version in it

// Where the loader looks for what an object needs, as written: $ORIGIN is not expanded.
struct SharedObject {
  std::string soname;                // empty: none
  std::vector<std::string> needed;   // DT_NEEDED, in order
  std::vector<std::string> runpath;  // DT_RUNPATH, for this object's own needs
  std::vector<std::string>
      rpath;               // DT_RPATH, also for the needs of what it needs; the loader ignores it if there is a RUNPATH
  bool is_plugin = false;  // exports plugin_symbol
  unsigned other_major = 0;  // not a plugin of this version, but of that one; 0: of none
};

// A shared object that this machine can load, according to its headers.
Result<SharedObject> read_shared_object(std::string_view bytes);

}  // namespace narwhal::server
