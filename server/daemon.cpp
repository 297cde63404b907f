#include "server/daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "core/start_output.hpp"
#include "core/write_all.hpp"
#include "server/early_signals.hpp"
#include "server/notify.hpp"
#include "server/sockets/socket_activation.hpp"

namespace narwhal::server {
namespace {

constexpr int exit_start = 1;
constexpr mode_t file_mode_mask = 022;  // Gunicorn's for a daemon

// From the daemon to its caller, first its pid, then its exit code; each is one message.
bool send_number(int socket, int number) {
  return ::send(socket, &number, sizeof number, MSG_NOSIGNAL) == sizeof number;
}

// Waits. False: the other process has ended.
bool receive_number(int socket, int& number) {
  ssize_t size = -1;
  do {
    size = ::recv(socket, &number, sizeof number, 0);
  } while (size < 0 && errno == EINTR);
  return size == sizeof number;
}

// Copies what has arrived to `target`, or discards it if that is -1. False: no more can come.
bool empty(const Fd& pipe, int target) {
  char bytes[4096];
  while (true) {
    const ssize_t size = ::read(pipe.get(), bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size != 0;
    // A caller without a reader must not keep the daemon from starting.
    if (target >= 0 && !write_all(target, {bytes, static_cast<std::size_t>(size)})) target = -1;
  }
}

// The caller, once it has a daemon: its exit code.
int await(const Fd& daemon, const Fd& output) {
  pollfd watched[] = {{daemon.get(), POLLIN, 0}, {output.get(), POLLIN, 0}};
  int code = exit_start;
  while (true) {
    if (::poll(watched, 2, -1) < 0) continue;
    if (watched[1].revents != 0 && !empty(output, STDERR_FILENO)) watched[1].fd = -1;
    if (watched[0].revents == 0) continue;
    const bool reported = receive_number(daemon.get(), code);
    if (output) empty(output, STDERR_FILENO);
    if (!reported) std::fputs("narwhal: the server has ended before it served\n", stderr);
    return code;
  }
}

[[noreturn]] void be_caller(const Fd& daemon, const Fd& output, pid_t child) {
  end_early_signals();  // ended by a signal, it does not report a start that has succeeded
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);  // the server outlives the terminal, also during its start
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  int pid = 0;
  if (!receive_number(daemon.get(), pid)) ::_exit(exit_start);  // the child could not fork and has said so
  // Before the daemon goes on: the service manager believes its messages only then.
  [[maybe_unused]] const auto sent = Notifier::from_environment().main_pid(pid);
  send_number(daemon.get(), pid);
  ::_exit(await(daemon, output));
}

// In the child: the leader of a new session. Returns in its child, which is no leader and so can get no terminal.
void leave_session() {
  ::setsid();
  const pid_t pid = ::fork();
  if (pid < 0) std::fprintf(stderr, "narwhal: %s\n", errno_error("fork").message.c_str());
  if (pid != 0) ::_exit(pid < 0 ? exit_start : 0);
}

void read_nothing() {
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null) ::dup2(null.get(), STDIN_FILENO);
}

std::vector<int> streams_to_leave(KeptStreams kept) {
  std::vector<int> streams;
  if (!kept.output) streams.push_back(STDOUT_FILENO);
  if (!kept.error) streams.push_back(STDERR_FILENO);
  return streams;
}

struct Ends {
  Fd first, second;
};

Ends open_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw StartupError(errno_error("daemon: socketpair").message);
  return {Fd(ends[0]), Fd(ends[1])};
}

// Reading from it does not wait.
Ends open_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0 || ::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
    throw StartupError(errno_error("daemon: pipe").message);
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

KeptStreams kept_streams(const Config& config) {
  if (!config.enable_stdio_inheritance) return {};
  return {::isatty(STDOUT_FILENO) == 0, ::isatty(STDERR_FILENO) == 0};
}

std::vector<std::string> lost_logs(const Config& config, KeptStreams kept) {
  std::vector<std::string> lines;
  if (!config.daemon) return lines;
  if (config.errorlog == "-" && !kept.error)
    lines.emplace_back(
        "daemon: errorlog is '-', and a daemon has no standard error: after the start the error log is discarded; name "
        "a file with --error-logfile FILE");
  if (config.accesslog == "-" && !kept.output)
    lines.emplace_back(
        "daemon: accesslog is '-', and a daemon has no standard output: the access log is discarded; name a file with "
        "--access-logfile FILE");
  return lines;
}

Daemon Daemon::leave_caller(const Config& config) {
  auto [to_daemon, to_caller] = open_socket_pair();
  auto [output, input] = open_pipe();
  const KeptStreams kept = kept_streams(config);
  const pid_t caller = ::getpid(), child = ::fork();
  if (child < 0) throw StartupError(errno_error("daemon: fork").message);
  if (child > 0) {
    to_caller = Fd();
    input = Fd();
    be_caller(to_daemon, output, child);
  }
  to_daemon = Fd();
  leave_session();
  ::umask(file_mode_mask);
  read_nothing();
  or_throw(start_output::begin(input, streams_to_leave(kept)));
  pass_activation(caller);
  pass_watchdog(caller);
  int pid = ::getpid();
  if (send_number(to_caller.get(), pid)) receive_number(to_caller.get(), pid);
  return Daemon(kept, std::move(to_caller), std::move(output));
}

void Daemon::started() {
  if (started_) return;
  started_ = true;
  start_output::end();
  send_number(caller_.get(), 0);
}

void Daemon::ended(int exit_code) {
  if (!started_) send_number(caller_.get(), exit_code);
}

Daemon::Event Daemon::settle() {
  if (!caller_) {
    if (!empty(output_, -1)) output_ = Fd();
    return Event::none;
  }
  char byte = 0;
  if (::recv(caller_.get(), &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR)) return Event::none;
  caller_ = Fd();
  start_output::end();  // without a reader it could block us
  return started_ ? Event::none : Event::start_was_interrupted;
}

}  // namespace narwhal::server
