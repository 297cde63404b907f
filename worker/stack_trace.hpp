// The stack of a thread, as its signal handler logs it: a line for each frame, the innermost first, then a command for each
// object file that has frames, the plugins first. A shell that runs the command prints the lines of the source.
//   /srv/shop.so(_ZN4shop6handleEv+0x1b)[0x7f2c5e8d21a4]
//   addr2line -Cfipe /srv/shop.so 0x11a3 0x1207
// Files    a plugin's private copy is called by the path of its source, unless that is another file by now: then the
//          command names the copy, and says so in a comment.
// Names    of the plugins' and the program's functions: of all of them, unless they were stripped. Of others: exported ones.
// Signals  as safe in a handler as the unwinder and dladdr(), which wait while another thread loads a library.
#pragma once

#include <string_view>

#include "core/config.hpp"
#include "core/generation.hpp"

namespace narwhal::worker {

// Main thread, once: what write_stack() needs. `generation` outlives the process.
void prepare_stack_traces(const Generation& generation) noexcept;
// In a signal handler: the stack of what the signal has interrupted.
void write_stack(LogLevel level) noexcept;
// The file that has this code, as a stack calls it. Empty: none.
std::string_view path_of_code(const void* code) noexcept;

// What the source of a file of the generation is called, or `loaded` again. Ends where `loaded` ends.
std::string_view source_path(const Generation& generation, std::string_view loaded) noexcept;

}  // namespace narwhal::worker
