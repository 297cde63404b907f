#include "server/next_master.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "core/child.hpp"
#include "core/close_all_but.hpp"
#include "core/exec_pointers.hpp"
#include "core/log.hpp"
#include "core/records.hpp"
#include "core/signals.hpp"
#include "core/time_limit.hpp"
#include "server/config/absolute_paths.hpp"
#include "server/config/is_program.hpp"
#include "server/inheritance.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds spare{5};
constexpr std::chrono::seconds end_limit{5};
constexpr int exit_not_run = 127;
constexpr std::string_view failed_word = "failed ";

// That of the start, apart from what was for this process only.
std::vector<std::string> environment_of(const Program& program, const std::string& inheritance) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : program.variables) {
    // The sockets of systemd or Upstart are among the inherited ones; and this server has started already.
    if (name.starts_with("LISTEN_") || name.starts_with("UPSTART_") || name == "NARWHAL_EXPECT_STOP") continue;
    lines.push_back(name + "=" + (name == "WATCHDOG_PID" ? std::to_string(::getpid()) : value));
  }
  lines.push_back(fmt::format("{}={}", inheritance_variable, inheritance));
  return lines;
}

// In the child. Returns only if it cannot execute the program.
Error become(const Program& program, const ListenerList& listeners, const std::string& sockets, int channel,
             pid_t from) {
  lead_group();  // until it has come so far that it ends what it starts by itself
  std::vector<int> inherited{channel};
  for (const auto& listener : listeners) inherited.push_back(listener->fd.get());
  close_all_but(inherited);
  for (const int descriptor : inherited) ::fcntl(descriptor, F_SETFD, 0);
  [[maybe_unused]] const int or_stay = ::chdir(program.directory.c_str());
  std::vector<std::string> arguments = program.arguments;
  auto environment = environment_of(program, inheritance_value(::getpid(), from, channel, sockets));
  ::execve(program.path.c_str(), exec_pointers(arguments).data(), exec_pointers(environment).data());
  return errno_error("execute " + program.path);
}

}  // namespace

Program own_program(int argc, const char* const* argv, const Environment& environment) {
  Program program{"", {argv, argv + argc}, environment.variables, environment.start_directory};
  const auto* const executed = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (executed != nullptr) program.path = absolute_path(program.directory, executed);
  if (is_program(program.path)) return program;
  std::error_code unknown;
  program.path = std::filesystem::read_symlink("/proc/self/exe", unknown).string();
  return program;
}

Result<Done> NextMaster::start(const Program& program, const ListenerList& listeners, std::chrono::seconds boot_timeout,
                               Instant now) {
  const auto sockets = inheritance_text(listeners);
  if (!sockets) return Error{sockets.error()};
  auto pair = open_pair();
  if (!pair) return Error{pair.error()};
  const pid_t from = ::getpid();
  const UpgradeChannel to_us(std::move(pair->child));
  auto child = fork_child([&] {
    to_us.send(std::string(failed_word) + become(program, listeners, *sockets, to_us.descriptor(), from).message);
    return exit_not_run;
  });
  if (!child) return Error{child.error()};
  pid_ = child->pid();
  child->reaped();  // it may outlive this process, so nobody here owns it
  channel_ = UpgradeChannel(std::move(pair->master));
  state_ = State::starting;
  limit_ = boot_timeout;
  reported_ = reason_ = "";
  has_ended_ = false;
  give_more_time(now);
  return Done{};
}

void NextMaster::give_more_time(Instant now) {
  deadline_ = deadline_after(now, limit_.count() == 0 ? limit_ : 2 * limit_ + spare);
}

NextMaster::Event NextMaster::settle(Instant now) {
  while (const auto message = channel_.receive()) {
    if (const Event event = take_message(*message, now); event != Event::none) return event;
  }
  if (has_ended_) return take_end();
  return check_time(now);
}

NextMaster::Event NextMaster::take_message(const std::string& message, Instant now) {
  const bool is_starting = state_ == State::starting;
  if (message == "leaving" && state_ == State::serving) return Event::leaving;
  if (message == "leaving" && reported_.empty()) reported_ = "it was stopped by a signal";
  if (message.starts_with(failed_word) && reported_.empty()) reported_ = message.substr(failed_word.size());
  if (!is_starting) return Event::none;
  if (!reported_.empty()) deadline_ = std::min(deadline_, Instant(now + end_limit));
  if (message == "step") give_more_time(now);
  if (message != "ready") return Event::none;
  state_ = State::serving;
  deadline_ = never;
  return Event::ready;
}

NextMaster::Event NextMaster::take_end() {
  const State before = std::exchange(state_, State::none);
  const std::string end = fmt::format("the new master (pid:{}) {}", pid_, describe_exit(status_));
  pid_ = 0;
  has_ended_ = false;
  deadline_ = never;
  channel_.close();
  if (before == State::ending) return Event::none;
  reason_ = reported_.empty() ? end : reported_ + "; " + end;
  return before == State::serving ? Event::ended : Event::failed;
}

NextMaster::Event NextMaster::check_time(Instant now) {
  if (now < deadline_) return Event::none;
  const bool was_asked = state_ == State::ending;
  ::kill(pid_, was_asked ? SIGKILL : SIGTERM);
  deadline_ = was_asked ? never : now + end_limit;
  if (was_asked) return Event::none;
  state_ = State::ending;
  reason_ = fmt::format("the new master (pid:{}) ", pid_) +
            (reported_.empty() ? "does not get ready (boot_timeout is " + std::to_string(limit_.count()) + " s)"
                               : "does not end: " + reported_);
  return Event::failed;
}

bool NextMaster::reaped(pid_t pid, int status) {
  if (pid_ == 0 || pid != pid_) return false;
  has_ended_ = true;
  status_ = status;
  return true;
}

void NextMaster::let_go() {
  if (state_ == State::ending && !has_ended_) ::kill(pid_, SIGKILL);
  deadline_ = never;
}

}  // namespace narwhal::server
