// The name of a process in ps, top and systemctl: "narwhal: worker 2 [shop] gen 7".
// Linux shows the memory where the kernel first put argv, so a title is written there, over argv and environ.
#pragma once

#include <string_view>

namespace narwhal {

// Call it once, first in main(), before threads and getenv(). Moves argv and environ elsewhere permanently and returns
// the moved argv. Old pointers into them read titles from now on.
char** keep_title_space(int argc, char** argv);

// The same for a program whose main() is not ours, such as Python, later but before there are threads.
void find_title_space();

// Cut to the space of argv and environ; the thread's name is cut to 15 bytes. Without keep_title_space(), only the
// thread's name is set. Async-signal-safe; a forked child has its own copy.
void set_process_title(std::string_view title) noexcept;

}  // namespace narwhal
