// The log line for a worker's end, the same as Gunicorn's if it has one. Pure.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/config.hpp"

namespace narwhal::server {

enum class Killer { unknown, master, command };  // command: of an operator, to the master

struct DeathNotice {
  LogLevel level;
  std::string text;
  bool crash;  // neither exit code 0 nor an operator's command, TERM, INT or QUIT
};

// `status` as waitpid() gives it.
bool ended_by_operator(int status);  // by TERM, INT or QUIT
DeathNotice death_notice(pid_t pid, int status, Killer killer);

}  // namespace narwhal::server
