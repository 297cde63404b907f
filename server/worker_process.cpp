#include "server/worker_process.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <utility>

#include "core/child.hpp"
#include "core/log.hpp"

namespace narwhal::server {
namespace {

// Records to read before the other processes get their turn: a worker that sends without end must not stop the master.
constexpr int records_a_turn = 64;

}  // namespace

WorkerProcess::WorkerProcess(std::uint32_t slot, Fd socket, const Generation& generation, Instant now, const char* name)
    : generation_(generation), name_(name), slot_(slot), socket_(std::move(socket)), spawned_(now) {
  deadline_ = deadline_for(limit_of(life_), now);
}

void WorkerProcess::read_reports(Instant now) {
  for (int i = 0; i < records_a_turn && socket_; ++i) {
    const Received received = receive_record(socket_.get());
    switch (received.status) {
      case Received::Status::nothing_yet: return;
      case Received::Status::record: handle_record(received, now); break;
      case Received::Status::gone:
        socket_ = Fd();
        // Before hello the pid is unknown: its zombie is reaped like any other orphan.
        apply(pid_ == 0 ? Event::exited : Event::closed, now);
        return;
    }
  }
}

void WorkerProcess::handle_record(const Received& received, Instant now) {
  switch (static_cast<Report>(received.record.kind)) {
    case Report::hello:
      if (pid_ != 0 || received.pid <= 0) return;
      pid_ = received.pid;
      // Of one that is to leave already, the line would come after the one that says why.
      if (life_ == Life::spawning) log::info("Booting {} with pid: {}", name_, pid_);
      return apply(Event::hello, now);
    case Report::step:
      if (is_booting(life_)) last_step_ = received.record.text;
      return;
    case Report::failed:
      if (!failure_.empty()) return;
      failure_ = received.record.text;
      failure_code_ = received.record.code;
      return;
    case Report::watch: watched_.emplace_back(received.record.text); return;
    case Report::ready: return apply(Event::ready, now);
    case Report::stuck:
      cause_ = "timeout";
      was_stuck_ = true;
      return apply(Event::give_way, now);
    case Report::expired:
      if (cause_ == nullptr) cause_ = "recycled";
      return apply(Event::expired, now);
    case Report::leaving:  // a signal of an operator
      cause_ = "exit";
      was_asked_to_leave_ = true;
      return apply(Event::leaves, now);
    case Report::loaded:
    case Report::fork_failed: return;  // reports of the template only
  }
}

void WorkerProcess::apply(Event event, Instant now) {
  const Step next = step(life_, event);
  if (event == Event::late && is_booting(life_)) {
    late_ = "not ready after " + std::to_string(generation_.config.boot_timeout.count()) + " s (boot_timeout)";
  }
  if (next.next != life_) enter(next.next, now);
  carry_out(next.action);
  // Its pid is unknown, so it cannot be killed: without its socket it exits by itself if it ever starts.
  if (life_ == Life::killed && pid_ == 0) {
    socket_ = Fd();
    enter(Life::gone, now);
  }
}

void WorkerProcess::retire(Instant now, Successor successor) {
  successor_ = successor;
  apply(Event::retire, now);
}

void WorkerProcess::enter(Life life, Instant now) {
  const Limit limit = limit_of(life);
  life_ = life;
  if (limit != Limit::running) deadline_ = deadline_for(limit, now);
  if (frees_its_place(life)) holds_place_ = false;
  if (life != Life::serving) return;
  serving_since_ = now;
  beat_seen_ = now;
}

void WorkerProcess::carry_out(Action action) {
  switch (action) {
    case Action::none: return;
    case Action::accept: return order(Order::accept);
    case Action::drain: was_asked_to_leave_ = true; return order(Order::drain);
    case Action::quit: was_asked_to_leave_ = true; return order(Order::quit);
    case Action::abort: was_aborted_ = true; return signal(SIGABRT);
    case Action::kill: killer_ = Killer::master; return signal(SIGKILL);
  }
}

void WorkerProcess::order(Order kind) {
  // A worker that does not read its orders soon exceeds a time limit, and is killed then.
  if (!socket_) return;
  Record record = make_record(kind, slot_, generation_.number);
  record.code = kind == Order::drain && successor_ == Successor::none ? 1 : 0;
  const auto sent = send_record(socket_.get(), record);
  if (!sent) log::debug("Worker (pid:{}): {}", pid_, sent.error());
}

bool WorkerProcess::send_log(Order which, const Fd& file) const {
  return !socket_ || bool(send_record(socket_.get(), make_record(which, slot_, generation_.number), file.get()));
}

void WorkerProcess::kill() {
  killer_ = Killer::command;
  cause_ = "command";
  signal(SIGKILL);
}

void WorkerProcess::signal(int signo) {
  // Our child and not reaped yet, so no other process can have this pid.
  if (pid_ > 0) ::kill(pid_, signo);
}

void WorkerProcess::withhold(bool withheld) {
  is_withheld_ = withheld;
  order(withheld ? Order::withhold : Order::accept);
}

void WorkerProcess::reaped(int status, Instant now) {
  // Its last reports are still in the socket: why it failed, or even its hello.
  read_reports(now);
  exit_status_ = status;
  socket_ = Fd();
  apply(Event::exited, now);
}

bool WorkerProcess::may_have_died_of_requests() const {
  if (!exit_status_ || !has_served()) return false;
  if (was_stuck_ || was_aborted_) return true;
  if (killer_ != Killer::unknown) return false;
  const int signo = WIFSIGNALED(*exit_status_) ? WTERMSIG(*exit_status_) : 0;
  if (signo == SIGTERM || signo == SIGINT || signo == SIGQUIT) return false;
  return (signo != 0 && signo != SIGKILL) || !was_asked_to_leave_;
}

void WorkerProcess::never_forked(const std::string& reason, Instant now) {
  if (pid_ != 0) return;
  failure_ = reason;
  socket_ = Fd();
  apply(Event::exited, now);
}

void WorkerProcess::check_time(Instant now) {
  if (now >= deadline_) {
    deadline_ = never;
    apply(Event::late, now);
  }
}

void WorkerProcess::check_heartbeat(Instant beat, Instant now) {
  if (!has_served() || life_ == Life::gone) return;
  // Any change is a beat. Plugin code may have overwritten the value, so it is not compared with the clock.
  if (beat != beat_) {
    beat_ = beat;
    beat_seen_ = now;
  }
  if (now < deadline_after(beat_seen_, generation_.config.heartbeat_timeout)) return;
  if (step(life_, Event::silent).action == Action::abort) {
    log::critical("WORKER TIMEOUT (pid:{})", pid_);
    cause_ = "heartbeat";
  }
  apply(Event::silent, now);
}

DeathNotice WorkerProcess::death() const {
  return death_notice(pid_, *exit_status_, killer_, was_asked_to_leave_ ? Leave::asked : Leave::unasked);
}

std::string WorkerProcess::reason() const {
  if (!failure_.empty()) return failure_;
  std::string text = late_;
  if (text.empty() && exit_status_) text = "worker (pid:" + std::to_string(pid_) + ") " + describe_exit(*exit_status_);
  if (text.empty()) text = "worker ended before its first report";
  return last_step_.empty() ? text : text + ", its last step: " + last_step_;
}

int WorkerProcess::boot_exit_code() const {
  if (failure_code_ == exit_app_failed) return exit_app_failed;
  if (exit_status_ && WIFEXITED(*exit_status_) && WEXITSTATUS(*exit_status_) == exit_app_failed) return exit_app_failed;
  return exit_boot_failed;
}

Instant WorkerProcess::deadline_for(Limit limit, Instant now) const {
  switch (limit) {
    case Limit::none: return never;
    case Limit::running: return deadline_;
    case Limit::boot: return deadline_after(now, generation_.config.boot_timeout);
    // The worker ends by itself when it has passed, at once with 0, and says what it drops.
    case Limit::graceful: return now + std::chrono::seconds{1} + generation_.config.graceful_timeout;
    case Limit::quick: return deadline_after(now, quick_stop);
    case Limit::moment: return deadline_after(now, std::chrono::seconds{1});
  }
  return never;
}

}  // namespace narwhal::server
