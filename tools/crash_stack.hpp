// The stack of a plugin that crashes or hangs in this process, on standard error: a line for each frame, the innermost
// first, then the command that prints the lines of the plugin's source.
//   ./shop.so(+0x11a4)[0x7f2c5e8d21a4]
//   addr2line -Cfipe ./shop.so 0x11a4 0x1206
// Signals  as safe in a handler as the unwinder and dladdr(). A stack that has overflowed is not shown.
#pragma once

#include <string>

namespace narwhal::tools {

// Once: for the signals of a crash, unless something else handles them, such as a sanitizer. `plugin`: as it will be loaded.
void show_stack_of_crash(const std::string& plugin);
// After it: the stack of each other thread that this program has called into the plugin, and that is there now. A system
// call in which it waits may end with EINTR. False: there is none.
bool show_stacks_in_plugin();

}  // namespace narwhal::tools
