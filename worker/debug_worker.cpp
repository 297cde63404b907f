// A worker without a master, for --debug: server/debug_run.hpp.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/log.hpp"
#include "core/signals.hpp"
#include "worker/crash.hpp"
#include "worker/forked_children.hpp"
#include "worker/loop.hpp"
#include "worker/run_worker.hpp"
#include "worker/watched_files.hpp"
#include "worker/worker.hpp"

namespace narwhal::worker {

namespace {

class DebugSignals {
 public:
  explicit DebugSignals(Loop& loop) : loop_(loop) {
    for (std::size_t index = 0; index < handled.size(); ++index) {
      uv_signal_init(loop_.uv(), &handles_[index]);
      handles_[index].data = this;
      uv_signal_start(
          &handles_[index],
          [](uv_signal_t* handle, int number) { static_cast<DebugSignals*>(handle->data)->on_signal(number); },
          handled[index]);
    }
  }

 private:
  static constexpr std::array handled{SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

  void on_signal(int number) {
    const std::string name = signal_name(number);
    if (number == SIGUSR1 || number == SIGUSR2)
      return log::warning("{} has no effect in debug mode: there is no master", name);
    if (loop_.retiring()) {
      log::info("Handling signal: {}: ends at once", name);
      return loop_.quit();
    }
    log::info("Handling signal: {}: finishes its requests and ends{}", name,
              number == SIGHUP ? ", because debug mode cannot reload: start narwhal again" : "");
    loop_.retire(Backlog::take);
  }

  Loop& loop_;
  std::array<uv_signal_t, handled.size()> handles_{};
};

// What lives until the process has ended, because a thread of a plugin may still use it.
struct DebugWorker {
  TemplateSeat from;
  Seat seat{};
  std::vector<std::unique_ptr<Listener>> listeners{};  // of the seat: the worker closes its listeners before its end
  std::unique_ptr<Loop> loop{};
  std::unique_ptr<DebugSignals> signals{};
};
DebugWorker* volatile the_worker = nullptr;  // for leak checkers: it is not lost. Nobody else reads it

Seat seat_of(DebugWorker& worker) {
  Seat seat;
  seat.generation = worker.from.generation;
  seat.scoreboard = worker.from.scoreboard;
  seat.access_log = worker.from.access_log;
  for (const Listener* each : worker.from.listeners) {
    const int copy = ::fcntl(each->fd.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw StartupError(errno_error("copy a listening socket").message);
    worker.listeners.push_back(
        std::make_unique<Listener>(Listener{each->bind, Fd(copy), each->address, each->activated}));
    seat.listeners.push_back(worker.listeners.back().get());
  }
  return seat;
}

// The hooks in the order of a generation's start.
HookResult set_up(DebugWorker& worker) {
  const Generation& generation = *worker.seat.generation;
  const auto quiet = [](std::string_view) {};
  auto mounts = load_plugins(generation, quiet);
  if (!mounts) {
    HookResult failed = Error{mounts.error()};
    failed.exit_code = exit_app_failed;
    return failed;
  }
  for (const auto& mount : *mounts) {
    if (!mount->is_python) continue;  // a Python application is set up there, preload_app or not
    if (HookResult done = preload(*mount, {-1, generation.config.threads, 1, generation.number}); !done) return done;
  }
  worker.loop = std::make_unique<Loop>(worker.seat, std::move(*mounts));
  return boot(worker.seat, *worker.loop, quiet);
}

// Meanwhile a call of exit() is a plugin's. This process itself ends by exit(), so that leak checkers run.
struct ExitCallsLogged {
  explicit ExitCallsLogged(const Generation& generation) { log_calls_of_exit("The process", generation); }
  ExitCallsLogged(const ExitCallsLogged&) = delete;
  ExitCallsLogged& operator=(const ExitCallsLogged&) = delete;
  ~ExitCallsLogged() { permit_exit(); }
};

}  // namespace

int run_debug(TemplateSeat seat) {
  disregard_group_signals();
  ignore_write_signals();
  DebugWorker& worker = *new DebugWorker{std::move(seat)};
  the_worker = &worker;
  worker.seat = seat_of(worker);
  prepare_for_forked_children(worker.seat.listeners);
  raise_descriptor_limit(worker.seat);
  const ExitCallsLogged until_the_end(*worker.seat.generation);
  begin_set_up(nullptr);
  const HookResult done = set_up(worker);
  end_set_up();
  if (!done) {
    log::error("{}", done.error());
    return done.exit_code;
  }
  Loop& loop = *worker.loop;
  worker.signals = std::make_unique<DebugSignals>(loop);
  note_signal_handlers();
  loop.begin_accepting();
  log::info("Debug mode is ready (pid: {})", ::getpid());
  // An exception that came out here would destroy what other threads still use.
  [&loop]() noexcept { loop.crew().run(); }();
  loop.name_unfinished();
  loop.logs().finish();
  loop.mounts().end_worker();
  log::info("Debug mode has ended (pid: {})", ::getpid());
  return 0;
}

}  // namespace narwhal::worker
