#include "admin/ctl/commands.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>

#include "admin/ctl/views.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"

namespace narwhal::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto poll_pause = 50ms;
constexpr auto lost_server_limit = 10s;  // the admin process may be started again meanwhile

int fail(int code, const std::string& why) {
  std::fprintf(stderr, "narwhalctl: %s\n", why.c_str());
  return code;
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

Result<Json> status_of(const Client& client) {
  const auto answer = client.get("/status");
  if (!answer) return Error{answer.error()};
  if (answer->status != 200) return Error{"the server does not show its status: " + answer->body};
  Json status = Json::parse(answer->body, nullptr, false);
  if (status.is_discarded())
    return Error{"the server's status cannot be read: narwhalctl and narwhal may differ in version"};
  return status;
}

struct Ordered {
  int code = done;
  Json answer;
};

Ordered send(const Client& client, const std::string& command) {
  const auto answer = client.post("/commands/" + command);
  if (!answer) return {fail(no_server, answer.error()), {}};
  Json body = Json::parse(answer->body, nullptr, false);
  const std::string text = body.is_object() ? body.value("text", "") : answer->body;
  if (answer->status == 202) return {done, std::move(body)};
  return {fail(answer->status == 504 ? timed_out : refused, text), std::move(body)};
}

// The master that has taken the command: beside another one on the same socket, it need not be the one that showed its
// status before. An older server does not say.
int taken_by(const Ordered& ordered, const Json& before) {
  return ordered.answer.value("pid", before["pid"].get<int>());
}

std::string not_ended(const std::string& command, std::chrono::seconds limit) {
  return fmt::format("the {} has not ended within {} s: it goes on; see narwhalctl status", command, limit.count());
}

// The process itself, because its socket may be handed over to another server.
class Server {
 public:
  explicit Server(int pid) : pid_(pid), process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

  int pid() const { return pid_; }

  Result<Done> wait(Instant until) const {
    pollfd ended{process_.get(), POLLIN, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::max(until - now(), Instant::duration{}));
    if (process_ && ::poll(&ended, 1, static_cast<int>(left.count())) == 0)
      return Error{fmt::format("the server (pid {}) has not ended in time", pid_)};
    return Done{};
  }

  Result<Done> end() const {
    if (::syscall(SYS_pidfd_send_signal, process_.get(), SIGTERM, nullptr, 0) != 0 && errno != ESRCH)
      return errno_error(fmt::format("send TERM to the former master (pid {}), which serves on", pid_));
    return Done{};
  }

 private:
  const int pid_;
  const Fd process_;
};

// The transaction that the command has begun, or a later one of its kind: another may have come in between.
std::optional<Json> find_transaction(const Json& status, std::uint64_t first, const std::string& kind) {
  for (const Json& one : status["transactions"]) {
    if (one["id"] >= first && one["kind"] == kind) return one;
  }
  return std::nullopt;
}

std::string progress_of(const Json& status) {
  for (const Json& generation : status["generations"]) {
    if (generation["phase"] != "booting") continue;
    const auto& workers = generation["workers"];
    const auto ready =
        std::count_if(workers.begin(), workers.end(), [](const Json& each) { return each["state"] == "ready"; });
    return fmt::format("generation {}: {} of {} workers ready", generation["number"].get<std::uint64_t>(), ready,
                       generation["target"].get<unsigned>());
  }
  return {};
}

int report(const Json& transaction, Output output) {
  if (output.json) print(transaction.dump() + "\n");
  const std::string reason = transaction["reason"];
  if (transaction["outcome"] != "swapped") return fail(refused, reason);
  if (!reason.empty()) std::fprintf(stderr, "narwhalctl: %s\n", reason.c_str());
  if (!output.json)
    print("generation " + std::to_string(transaction["generation"].get<std::uint64_t>()) + " serves (" +
          duration_text(transaction["seconds"]) + ")\n");
  return done;
}

volatile sig_atomic_t interrupted = 0;

// No echo and no lines, so that a key is seen at once; undone at the end.
class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    is_raw_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    print("\033[?1049h\033[?25l");  // the other screen, without a cursor
  }
  ~RawTerminal() {
    print("\033[?25h\033[?1049l");
    std::fflush(stdout);
    if (is_raw_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_{};
  bool is_raw_ = false;
};

winsize size_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size = {24, 80, 0, 0};
  return size;
}

// False: a key or a signal.
bool wait_for_key(std::chrono::milliseconds limit) {
  pollfd watched{STDIN_FILENO, POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(limit.count())) == 0 && interrupted == 0;
}

}  // namespace

int show_status(const Client& client, Output output) {
  const auto status = status_of(client);
  if (!status) return fail(no_server, status.error());
  print(output.json ? status->dump(2) + "\n" : status_text(*status));
  return done;
}

int show_workers(const Client& client, Output output) {
  const auto status = status_of(client);
  if (!status) return fail(no_server, status.error());
  if (!output.json) return print(workers_text(*status)), done;
  Json workers = Json::array();
  for (const Json& generation : (*status)["generations"]) {
    for (Json worker : generation["workers"]) {
      worker["generation"] = generation["number"];
      workers.push_back(std::move(worker));
    }
  }
  print(workers.dump(2) + "\n");
  return done;
}

int show_top(const Client& client, std::chrono::milliseconds interval) {
  auto before = status_of(client);
  if (!before) return fail(no_server, before.error());
  if (::isatty(STDOUT_FILENO) == 0 || ::isatty(STDIN_FILENO) == 0) {
    std::this_thread::sleep_for(interval);
    const auto status = status_of(client);
    if (!status) return fail(no_server, status.error());
    return print(top_text(*status, *before, std::chrono::duration<double>(interval).count(), 10'000, 10'000)), done;
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, [](int) { interrupted = 1; });
  const RawTerminal terminal;
  Instant last = now();
  while (wait_for_key(interval)) {
    const auto status = status_of(client);
    const Instant moment = now();
    const winsize size = size_of_terminal();
    print("\033[H\033[2J");
    if (status) {
      print(top_text(*status, *before, seconds_of(moment - last), size.ws_row - 1u, size.ws_col));
      before = *status;
      last = moment;
    } else {
      print(status.error() + "\n");
    }
    std::fflush(stdout);
  }
  return done;
}

int order(const Client& client, const std::string& command, Output output) {
  const Ordered ordered = send(client, command);
  if (ordered.code != done) return ordered.code;
  if (output.json) {
    print(ordered.answer.dump() + "\n");
  } else if (!output.quiet) {
    print(ordered.answer.value("text", "") + "\n");
  }
  return done;
}

int order_and_wait(const Client& client, const std::string& command, std::chrono::seconds limit, Output output) {
  const Instant until = now() + limit;
  const auto before = status_of(client);
  if (!before) return fail(no_server, before.error());
  const Ordered ordered = send(client, command);
  if (ordered.code != done) return ordered.code;
  const auto first = ordered.answer.value("transaction", std::uint64_t{0});
  if (first == 0) {  // it is done already
    print((output.json ? ordered.answer.dump() : ordered.answer.value("text", "")) + "\n");
    return done;
  }
  const int pid = taken_by(ordered, *before);
  std::string shown = ordered.answer.value("text", "");
  if (!output.quiet && shown != command) std::fprintf(stderr, "%s\n", shown.c_str());
  Instant seen = now();
  while (now() < until) {
    const auto status = status_of(client);
    if (status) {
      seen = now();
      if ((*status)["pid"] != pid)
        return fail(refused,
                    fmt::format("an upgrade has ended meanwhile, and the new master (pid {}) answers now: it has "
                                "the settings and code of its own start",
                                (*status)["pid"].get<int>()));
      const auto transaction = find_transaction(*status, first, command);
      if (transaction && (*transaction)["outcome"] != "running") return report(*transaction, output);
      const std::string progress = progress_of(*status);
      if (!output.quiet && !progress.empty() && progress != shown) std::fprintf(stderr, "%s\n", progress.c_str());
      shown = progress;
    } else if (now() - seen > lost_server_limit) {
      return fail(no_server, status.error());
    }
    std::this_thread::sleep_for(poll_pause);
  }
  return fail(timed_out, not_ended(command, limit));
}

int upgrade(const Client& client, bool finish, std::chrono::seconds limit, Output output) {
  const Instant until = now() + limit;
  const auto before = status_of(client);
  if (!before) return fail(no_server, before.error());
  const Ordered ordered = send(client, "upgrade");
  if (ordered.code != done) return ordered.code;
  const Server former(taken_by(ordered, *before));
  const auto first = ordered.answer.value("transaction", std::uint64_t{0});
  int pid = 0;
  while (pid == 0) {
    if (now() >= until) return fail(timed_out, not_ended("upgrade", limit));
    std::this_thread::sleep_for(poll_pause);
    const auto status = status_of(client);                      // at the hand-over there may be none for a moment
    if (!status || status->value("stopping", false)) continue;  // a master that an earlier upgrade had started
    if ((*status)["pid"] != former.pid()) {
      pid = (*status)["pid"];
    } else if (const auto transaction = find_transaction(*status, first, "upgrade");
               transaction && (*transaction)["outcome"] == "refused") {
      return report(*transaction, output);
    }
  }
  if (finish) {
    if (const auto sent = former.end(); !sent) return fail(refused, sent.error());
    if (const auto ended = former.wait(until); !ended) return fail(timed_out, ended.error());
  }
  if (output.json) {
    print(Json{{"pid", pid}, {"former", former.pid()}, {"finished", finish}}.dump() + "\n");
  } else if (finish) {
    print(fmt::format("the new master (pid {}) serves; the former one (pid {}) has ended\n", pid, former.pid()));
  } else {
    print(
        fmt::format("the new master (pid {0}) serves beside the former one (pid {1}): send TERM to {1} to finish, or "
                    "to {0} to go back\n",
                    pid, former.pid()));
  }
  return done;
}

int stop(const Client& client, const std::string& command, std::chrono::seconds limit, Output output) {
  const auto before = status_of(client);
  if (!before) return fail(no_server, before.error());
  const Ordered ordered = send(client, command);
  if (ordered.code != done) return ordered.code;
  const Server server(taken_by(ordered, *before));
  if (const auto ended = server.wait(now() + limit); !ended) return fail(timed_out, ended.error());
  // Another master of the server, beside this one, has the socket too.
  const auto after = status_of(client);
  if (output.json) {
    print(Json{{"pid", server.pid()}, {"stopped", !after}}.dump() + "\n");
  } else if (!output.quiet && !after) {
    print("stopped\n");
  }
  if (!after) return done;
  return fail(refused, fmt::format("the master (pid {}) has ended, and the other one (pid {}) continues to serve",
                                   server.pid(), (*after)["pid"].get<int>()));
}

}  // namespace narwhal::ctl
