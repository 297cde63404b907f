// The library for Python: a generation with Python applications has a template that is the program `python`. It loads
// this library, and runs the same template as the server itself.
#pragma once

extern "C" {
// `seat`: a descriptor of core/seat_bytes.hpp; closed. Returns the exit status. Called once, on the main thread, without
// the GIL.
[[gnu::visibility("default")]] int narwhal_run_template(int seat);
// For --check-config: the verdict goes to the seat's `master`, as server/check_config.cpp reads it.
[[gnu::visibility("default")]] int narwhal_check_plugins(int seat);
// For --debug: this process is the server.
[[gnu::visibility("default")]] int narwhal_debug(int seat);
}
