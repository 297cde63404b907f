// The program of the log process: log_runner.py with its modules.
// Arguments  the descriptors of the socket of the lines (core/log_records.hpp) and of the one to the master (log_run.hpp).
#pragma once

namespace narwhal::server {

extern const char log_runner[];

}  // namespace narwhal::server
