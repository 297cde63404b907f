// What ps, top and systemctl show a process as: "narwhal: worker 2 [shop] gen 7".
// Linux shows the memory where the kernel first put argv, so a title is written there, over argv and environ.
#pragma once

#include <string_view>

namespace narwhal {

// The first thing in main(), before a thread or a getenv(): moves argv and environ elsewhere, for good, and
// returns the moved argv. Pointers into the former ones show titles from now on. Call it once.
char** keep_title_space(int argc, char** argv);

// Cut to the room that argv and environ left; the thread's name to 15 bytes. Without keep_title_space(): that name
// alone. Async-signal-safe, and a forked child has its own copy.
void set_process_title(std::string_view title) noexcept;

}  // namespace narwhal
