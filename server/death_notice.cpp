#include "server/death_notice.hpp"

#include <signal.h>
#include <sys/wait.h>

#include "core/child.hpp"

namespace narwhal::server {

DeathNotice death_notice(pid_t pid, int status, Killer killer) {
  const std::string text = "Worker (pid:" + std::to_string(pid) + ") " + describe_exit(status);
  if (WIFEXITED(status)) {
    const bool crash = WEXITSTATUS(status) != 0;
    return {crash ? LogLevel::error : LogLevel::debug, text + ".", crash};
  }
  switch (WIFSIGNALED(status) ? WTERMSIG(status) : 0) {
    case SIGKILL:
      if (killer == Killer::master) return {LogLevel::warning, text + " by the master.", true};
      return {LogLevel::error, text + "! Perhaps out of memory?", true};
    case SIGTERM:
    case SIGINT:
    case SIGQUIT: return {LogLevel::info, text + "!", false};
    default: return {LogLevel::error, text + "!", true};
  }
}

}  // namespace narwhal::server
