#include "server/death_notice.hpp"

#include <signal.h>
#include <sys/wait.h>

#include "core/child.hpp"

namespace narwhal::server {

bool ended_by_operator(int status) {
  if (!WIFSIGNALED(status)) return false;
  const int signo = WTERMSIG(status);
  return signo == SIGTERM || signo == SIGINT || signo == SIGQUIT;
}

DeathNotice death_notice(pid_t pid, int status, Killer killer, Leave leave) {
  const std::string text = "Worker (pid:" + std::to_string(pid) + ") " + describe_exit(status);
  if (WIFEXITED(status)) {
    if (WEXITSTATUS(status) != 0) return {LogLevel::error, text + ".", true};
    if (leave == Leave::asked) return {LogLevel::debug, text + ".", false};
    return {LogLevel::error, text + ", but nobody had asked it to leave: has its code called _exit()?", true};
  }
  if (ended_by_operator(status)) return {LogLevel::info, text + "!", false};
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return {LogLevel::error, text + "!", true};
  if (killer == Killer::command) return {LogLevel::warning, text + ", as an operator has commanded.", false};
  if (killer == Killer::master) return {LogLevel::warning, text + " by the master.", true};
  return {LogLevel::error, text + "! Perhaps out of memory?", true};
}

}  // namespace narwhal::server
