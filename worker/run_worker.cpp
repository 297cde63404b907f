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
#include "core/start_output.hpp"
#include "worker/crash.hpp"
#include "worker/forked_children.hpp"
#include "worker/hang.hpp"
#include "worker/loop.hpp"
#include "worker/system_call_filter.hpp"
#include "worker/watched_files.hpp"

namespace narwhal::worker {

namespace {

// Without a master, the port must be free within five seconds.
constexpr std::chrono::seconds orphan_limit{4};
constexpr const char* orphan_limit_passed = "4 s without a master have passed";

// The socket to the master, and the signals of an operator, in the worker's loop.
class MasterChannel {
 public:
  MasterChannel(Seat& seat, Loop& loop) : seat_(seat), loop_(loop) {}

  void open() {
    uv_poll_init(loop_.uv(), &poll_, seat_.master.get());
    poll_.data = this;
    uv_poll_start(&poll_, UV_READABLE | UV_DISCONNECT,
                  [](uv_poll_t* poll, int, int) { static_cast<MasterChannel*>(poll->data)->read_orders(); });
    for (std::size_t index = 0; index < std::size(signals); ++index) {
      uv_signal_init(loop_.uv(), &signals_[index]);
      signals_[index].data = this;
      uv_signal_start(
          &signals_[index],
          [](uv_signal_t* handle, int number) { static_cast<MasterChannel*>(handle->data)->on_signal(number); },
          signals[index]);
    }
    loop_.deadlines().stuck_context = this;
    loop_.deadlines().on_stuck = [](void* context) {
      static_cast<MasterChannel*>(context)->send_report(Report::stuck);
    };
    loop_.recycling().expired_context = this;
    loop_.recycling().on_expired = [](void* context) {
      return static_cast<MasterChannel*>(context)->send_report(Report::expired);
    };
  }

  // False if the master has not taken it: its queue is full, or the master is gone, which end-of-file will show.
  bool send_report(Report report, std::string_view text = {}, int code = 0) {
    return bool(send_record(seat_.master.get(), make_record(report, seat_.slot, seat_.generation->number, text, code)));
  }

 private:
  static constexpr int signals[] = {SIGTERM, SIGINT, SIGQUIT};

  void read_orders() {
    while (true) {
      const Received received = receive_record(seat_.master.get());
      if (received.status == Received::Status::nothing_yet) return;
      if (received.status == Received::Status::gone) {
        uv_poll_stop(&poll_);
        log::warning("The master is gone: worker (pid:{}) leaves", ::getpid());
        loop_.retire(Backlog::take);
        return loop_.leave_within(orphan_limit, orphan_limit_passed);
      }
      switch (static_cast<Order>(received.record.kind)) {
        case Order::accept:
          start_output::end();
          loop_.begin_accepting();
          break;
        case Order::drain: loop_.retire(received.record.code != 0 ? Backlog::take : Backlog::leave); break;
        case Order::quit: loop_.quit(); break;
        case Order::withhold: loop_.acceptor().withhold(); break;
        case Order::error_log:
        case Order::access_log: loop_.logs().follow(static_cast<Order>(received.record.kind), received.fd); break;
        default: break;
      }
    }
  }

  void on_signal(int number) {
    send_report(Report::leaving);  // its successor need not wait until it has finished its requests
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

}  // namespace

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

HookResult boot(const Seat& seat, Loop& loop, const AboutTo& about_to) {
  const Config& config = seat.generation->config;
  const BootInfo info{static_cast<std::int32_t>(seat.slot), config.threads, config.workers, seat.generation->number};
  return loop.mounts().begin_worker(info, about_to, [&loop] { return loop.crew().start(); });
}

namespace {

std::string title(const Seat& seat) {
  if (seat.is_admin) return fmt::format("narwhal: admin [{}]", app_title(seat.generation->config));
  return fmt::format("narwhal: worker {} [{}] gen {}", seat.slot + 1, app_title(seat.generation->config),
                     seat.generation->number);
}

// Its siblings still run what they have imported.
void say_if_code_has_changed(const Seat& seat, const CodeFiles& code_files) {
  const std::string changed = code_files.changed_text();
  if (changed.empty()) return;
  seat.scoreboard->slot(seat.slot).has_changed_code.store(true);
  set_process_title(title(seat) + ", changed code");
  log::warning(
      "Worker (pid:{}) runs other code than the first of generation {}: {} changed since; HUP gives all workers the "
      "same",
      ::getpid(), seat.generation->number, changed);
}

}  // namespace

int run_worker(Seat& seat, std::vector<std::unique_ptr<Mount>> mounts, CodeFiles& code_files) {
  disregard_group_signals();
  ignore_write_signals();
  log::begin_process();
  set_process_title(title(seat));
  WorkerSlot& slot = seat.scoreboard->slot(seat.slot);
  slot.generation.store(seat.generation->number);
  slot.pid.store(::getpid());
  slot.state.store(WorkerState::booting);
  [[maybe_unused]] const auto hello =
      send_record(seat.master.get(), make_record(Report::hello, seat.slot, seat.generation->number));
  install_crash_handlers(seat.is_admin ? "Admin process" : "Worker", *seat.generation);
  note_crashed_thread_in(seat.scoreboard->slot(seat.slot).crashed_thread);
  log_refused_system_calls(*seat.generation);
  prepare_for_forked_children(seat.listeners);
  raise_descriptor_limit(seat);
  if (seat.generation->config.reload) report_watched_files({seat.master.get(), seat.slot, seat.generation->number});
  begin_set_up(&code_files);
  Loop loop(seat, std::move(mounts));
  watch_loop(loop.crew(), slot);
  MasterChannel channel(seat, loop);
  const auto report_step = [&channel](std::string_view step) { channel.send_report(Report::step, step); };
  if (const HookResult booted = boot(seat, loop, report_step); !booted) {
    channel.send_report(Report::failed, booted.error(), booted.exit_code);
    ::_exit(booted.exit_code);
  }
  end_set_up();
  say_if_code_has_changed(seat, code_files);
  channel.open();
  return_to_group_of_master();
  note_signal_handlers();
  ::prctl(PR_SET_PDEATHSIG, 0);  // from here on the loop notices the master's end, and finishes requests first
  slot.state.store(WorkerState::ready);
  channel.send_report(Report::ready);
  // An exception that came out here would destroy the loop while other threads still use it.
  [&loop]() noexcept { loop.crew().run(); }();
  loop.name_unfinished();
  loop.logs().finish();
  loop.mounts().end_worker();
  log::info("{} exiting (pid: {})", seat.is_admin ? "Admin process" : "Worker", ::getpid());
  loop.logs().finish();
  std::fflush(nullptr);  // what plugins have printed
  // Not exit(): static destructors of plugins would run while threads of theirs are still alive.
  ::_exit(0);
}

}  // namespace narwhal::worker
