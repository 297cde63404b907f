#include "server/early_signals.hpp"

#include <signal.h>
#include <unistd.h>

#include "core/signals.hpp"

namespace narwhal::server {
namespace {

constexpr int stop_signals[] = {SIGTERM, SIGINT, SIGQUIT};
constexpr int kept_signals[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};

}  // namespace

void begin_early_signals() noexcept {
  struct sigaction stop {};
  stop.sa_handler = [](int) { ::_exit(0); };
  sigset_t stops, kept;
  ::sigemptyset(&stops);
  ::sigemptyset(&kept);
  for (const int signo : stop_signals) {
    ::sigaddset(&stops, signo);
    ::sigaction(signo, &stop, nullptr);
  }
  for (const int signo : kept_signals) ::sigaddset(&kept, signo);
  ::sigprocmask(SIG_BLOCK, &kept, nullptr);
  ::sigprocmask(SIG_UNBLOCK, &stops, nullptr);  // the caller may have blocked them so that none is lost
}

void end_early_signals() noexcept {
  for (const int signo : stop_signals) ::signal(signo, SIG_DFL);
  unblock_all_signals();
}

}  // namespace narwhal::server
