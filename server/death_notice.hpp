// What the log says of a worker's end, in Gunicorn's words where it has them. Pure.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/config.hpp"

namespace narwhal::server {

enum class Killer { unknown, master };

struct DeathNotice {
  LogLevel level;
  std::string text;
  bool crash;  // not by its own will and not by an operator's TERM, INT or QUIT
};

// `status` as waitpid() gives it.
DeathNotice death_notice(pid_t pid, int status, Killer killer);

}  // namespace narwhal::server
