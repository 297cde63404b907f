#include "worker/run_worker.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "core/app_title.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "core/signals.hpp"
#include "worker/crash.hpp"
#include "worker/forked_children.hpp"
#include "worker/loop.hpp"
#include "worker/watched_files.hpp"

namespace narwhal::worker {

namespace {

constexpr std::chrono::seconds orphan_limit{4};  // without a master, the port must be free within five seconds

// The master's line to this worker, in the worker's loop.
class MasterLine {
 public:
  MasterLine(Seat& seat, Loop& loop) : seat_(seat), loop_(loop) {}

  void open() {
    uv_poll_init(loop_.uv(), &poll_, seat_.master.get());
    poll_.data = this;
    uv_poll_start(&poll_, UV_READABLE | UV_DISCONNECT,
                  [](uv_poll_t* poll, int, int) { static_cast<MasterLine*>(poll->data)->listen(); });
    for (std::size_t index = 0; index < std::size(signals); ++index) {
      uv_signal_init(loop_.uv(), &signals_[index]);
      signals_[index].data = this;
      uv_signal_start(
          &signals_[index],
          [](uv_signal_t* handle, int number) { static_cast<MasterLine*>(handle->data)->got_signal(number); },
          signals[index]);
    }
    loop_.deadlines().stuck_context = this;
    loop_.deadlines().on_stuck = [](void* context) { static_cast<MasterLine*>(context)->say(Report::stuck); };
  }

  void say(Report report, std::string_view text = {}, int code = 0) {
    // A master that is gone is noticed by the end of its socket: there is nothing to do about it here.
    [[maybe_unused]] const auto sent =
        send_record(seat_.master.get(), make_record(report, seat_.slot, seat_.generation->number, text, code));
  }

 private:
  static constexpr int signals[] = {SIGTERM, SIGINT, SIGQUIT};

  void listen() {
    while (true) {
      const Received received = receive_record(seat_.master.get());
      if (received.status == Received::Status::nothing_yet) return;
      if (received.status == Received::Status::gone) {
        uv_poll_stop(&poll_);
        log::warning("The master is gone: worker (pid:{}) leaves", ::getpid());
        loop_.retire(Backlog::take);
        return loop_.leave_within(orphan_limit);
      }
      switch (static_cast<Order>(received.record.kind)) {
        case Order::accept: loop_.begin_accepting(); break;
        case Order::drain: loop_.retire(received.record.code != 0 ? Backlog::take : Backlog::leave); break;
        case Order::quit: loop_.quit(); break;
        case Order::error_log:
        case Order::access_log: loop_.follow(static_cast<Order>(received.record.kind), received.fd); break;
        default: break;
      }
    }
  }

  void got_signal(int number) {
    if (number == SIGTERM) {
      loop_.retire(Backlog::leave);
    } else {
      loop_.quit();
    }
  }

  Seat& seat_;
  Loop& loop_;
  uv_poll_t poll_{};
  uv_signal_t signals_[std::size(signals)]{};
};

// A connection may need a file for its body beside its socket.
void raise_descriptor_limit(const Seat& seat) {
  constexpr rlim_t others = 128;
  const Config& config = seat.generation->config;
  const rlim_t least = config.worker_connections + others, wanted = least + config.worker_connections;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= least || seat.slot != 0) return;
  log::warning("worker_connections is {}, but no worker can open more than {} files: raise that limit or lower it",
               config.worker_connections, limit.rlim_max);
}

std::string title(const Seat& seat) {
  return fmt::format("narwhal: worker {} [{}] gen {}", seat.slot + 1, app_title(seat.generation->config),
                     seat.generation->number);
}

HookResult boot(MasterLine& line, const Seat& seat, Loop& loop) {
  const Config& config = seat.generation->config;
  const BootInfo info{static_cast<std::int32_t>(seat.slot), config.threads, config.workers, seat.generation->number};
  for (const auto& mount : loop.mounts()) {
    line.say(Report::step, "worker_init of " + mount->source);
    if (HookResult done = worker_init(*mount, info); !done) return done;
  }
  line.say(Report::step, "thread_init");
  if (!loop.crew().start()) return Error{"a handler thread could not be set up"};
  for (const auto& mount : loop.mounts()) {
    line.say(Report::step, "ready_check of " + mount->source);
    if (HookResult done = ready_check(*mount, info); !done) return done;
  }
  return Done{};
}

}  // namespace

int run_worker(Seat& seat, std::vector<std::unique_ptr<Mount>> mounts) {
  disregard_group_signals();
  ignore_write_signals();
  set_process_title(title(seat));
  WorkerSlot& slot = seat.scoreboard->slot(seat.slot);
  slot.generation.store(seat.generation->number);
  slot.pid.store(::getpid());
  slot.state.store(WorkerState::booting);
  [[maybe_unused]] const auto hello =
      send_record(seat.master.get(), make_record(Report::hello, seat.slot, seat.generation->number));
  install_crash_handlers("Worker");
  prepare_for_forked_children(seat);
  raise_descriptor_limit(seat);
  if (seat.generation->config.reload) tell_watched_files({seat.master.get(), seat.slot, seat.generation->number});
  Loop loop(seat, std::move(mounts));
  MasterLine line(seat, loop);
  if (const HookResult booted = boot(line, seat, loop); !booted) {
    line.say(Report::failed, booted.error(), booted.exit_code);
    ::_exit(booted.exit_code);
  }
  line.open();
  note_handled_signals();
  ::prctl(PR_SET_PDEATHSIG, 0);  // from here on the loop sees the master's end, and requests are finished first
  slot.state.store(WorkerState::ready);
  line.say(Report::ready);
  // An exception that came out here would take the loop away from under the threads that are still at it.
  [&loop]() noexcept { loop.crew().run(); }();
  loop.mounts().end_worker();
  log::info("Worker exiting (pid: {})", ::getpid());
  std::fflush(nullptr);  // what plugins have printed
  // Not exit(): static destructors of plugins would run beside threads of theirs that are still alive.
  ::_exit(0);
}

}  // namespace narwhal::worker
