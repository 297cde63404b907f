// The log line for a worker's end, the same as Gunicorn's if it has one. Pure.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/config.hpp"

namespace narwhal::server {

enum class Killer { unknown, master, command };  // command: of an operator, to the master
// Whether the master, or a signal of an operator, had asked it to leave. If not, its own code has ended the process.
enum class Leave { unasked, asked };

struct DeathNotice {
  LogLevel level;
  std::string text;
  bool crash;  // neither a leave that was asked for nor an operator's command, TERM, INT or QUIT
};

// `status` as waitpid() gives it.
bool ended_by_operator(int status);  // by TERM, INT or QUIT
DeathNotice death_notice(pid_t pid, int status, Killer killer, Leave leave);

}  // namespace narwhal::server
