// What a shared object says about itself, read from its bytes: nothing is mapped, nothing is run.
// Bounds   every offset, count and string is checked against the bytes at hand; damage is an Error in words.
// Faults   "not an ELF file", "truncated: ...", "built for aarch64, this machine is x86-64", "damaged: ...", ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal::server {

constexpr std::string_view plugin_symbol = "narwhal_plugin_v1";

// Where the loader looks for what an object needs, as written: $ORIGIN is not expanded.
struct SharedObject {
  std::string soname;                // empty: none
  std::vector<std::string> needed;   // DT_NEEDED, in order
  std::vector<std::string> runpath;  // DT_RUNPATH, for this object's own needs
  std::vector<std::string> rpath;    // DT_RPATH, for its needs' needs as well; the loader ignores it beside a RUNPATH
  bool is_plugin = false;            // defines plugin_symbol for others to find
};

// A shared object that this machine can load, as far as its headers tell.
Result<SharedObject> read_shared_object(std::string_view bytes);

}  // namespace narwhal::server
