#include "server/master.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/app_title.hpp"
#include "core/child.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/log_output.hpp"
#include "core/privileges.hpp"
#include "core/recent_problems.hpp"
#include "server/config/load_config.hpp"
#include "server/unit_advice.hpp"

namespace narwhal::server {
namespace {

// If poll() returns this much late, the machine or a SIGSTOP stopped the master, and most likely its workers too.
constexpr std::chrono::seconds overslept{1};
constexpr std::size_t problems_kept = 20;  // for the status
constexpr std::chrono::milliseconds poll_max = std::chrono::minutes{1};
constexpr std::chrono::seconds hooks_end_limit{1};  // of the process, when all hooks have returned
constexpr std::chrono::seconds spare{10};           // beside the limits that a start, reload or stop consists of

SignalPipe open_signals() {
  ::signal(SIGPIPE, SIG_IGN);  // a log pipe without a reader must not end the server
  ::signal(SIGXFSZ, SIG_IGN);  // nor a log file at its size limit (`ulimit -f`)
  disregard_signals_without_meaning();
  auto pipe = or_throw(
      SignalPipe::open({SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH, SIGCHLD}));
  unblock_all_signals();  // whatever mask the caller left
  return pipe;
}

// A terminal sends WINCH to the processes in its foreground when its size changes.
bool is_in_foreground() {
  const Fd terminal(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  return terminal && ::tcgetpgrp(terminal.get()) == ::getpgrp();
}

// "term", as in Gunicorn's log.
std::string short_name(int signo) {
  std::string name = signal_name(signo);
  if (name.starts_with("SIG")) name.erase(0, 3);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::string addresses(const Plan& plan) {
  return joined(plan.listeners, ",", [](const auto& listener) -> const std::string& { return listener->address; });
}

// How long a start or reload may take: the template and its workers, one after the other. 0: without limit.
std::chrono::seconds boot_limit(const Config& config) {
  return config.boot_timeout.count() == 0 ? config.boot_timeout : 2 * config.boot_timeout + spare;
}

int poll_timeout(Instant now, Instant deadline) {
  if (deadline == never) return -1;
  if (deadline <= now) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now);  // rounded up: never too early
  return static_cast<int>(std::min(left, poll_max).count());
}

void log_if_set(ClockWatch& watch, Instant now) {
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  const auto step = watch.look(std::chrono::seconds(wall.tv_sec) + std::chrono::nanoseconds(wall.tv_nsec), now);
  if (!step) return;
  log::warning("The system clock was set {} by {:.1f} s: no time limit depends on it",
               step->count() < 0 ? "back" : "forward", seconds_of(std::chrono::abs(*step)));
}

// Nobody else says why it does not answer.
void log_stopped(pid_t pid, int signo) {
  char title[128];
  const Fd file(::open(fmt::format("/proc/{}/cmdline", pid).c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? ::read(file.get(), title, sizeof title) : 0;
  const std::string_view name(title, size > 0 ? static_cast<std::size_t>(size) : 0);
  log::warning("{} (pid:{}) was stopped by {}: it does nothing until SIGCONT", name.substr(0, name.find('\0')), pid,
               signal_name(signo));
}

}  // namespace

Master::Master(Config config, Parts parts)
    : start_config_(std::move(config)),
      parts_(std::move(parts)),
      signals_(open_signals()),
      site_{or_throw(Scoreboard::create()), or_throw(StageArea::create(start_config_.stage_dir)), parts_.run_template},
      upgrade_(std::move(parts_.program), parts_.inheritance, site_, *this),
      announcer_(upgrade_.has_predecessor()),
      publisher_(parts_.version, app_title(start_config_)),
      admin_(site_, publisher_.board(), parts_.run_admin),
      hooks_(std::move(parts_.hooks)),
      succession_(site_, parts_.read_config, *this) {
  // Workers are the template's grandchildren; orphaned, they become ours to reap.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw StartupError(errno_error("become the workers' reaper").message);
}

// Also where the start has failed: as a child of a process that is gone it would be killed, and what its file has started
// would stay.
Master::~Master() {
  if (HookProcess* const hooks = hooks_.process()) hooks->end_within(hooks_end_limit);
}

int Master::supervise() {
  start();
  while (!succession_.gone()) turn();
  return shut_down();
}

void Master::start() {
  now_ = narwhal::now();
  remember_problems(problems_kept);
  or_throw(advised(log::open(start_config_.errorlog, start_config_.loglevel), UnitMeans::logs));
  or_throw(site_.log_process.begin(start_config_));
  const std::string& accesslog = start_config_.accesslog;
  if (!accesslog.empty() && accesslog != "-")
    or_throw(advised(open_log_file(accesslog), UnitMeans::logs));  // now, so that a mistake is reported before the fork
  announcer_.starting(now_, boot_limit(start_config_));
  set_title(start_config_);
  log::info("Starting narwhal {}", parts_.version);
  if (site_.stage_area.folder().empty())
    log::info("No directory for private copies of plugins: those on read-only file systems are loaded in place");
  for (const std::string& notice : parts_.notices) log::write(LogLevel::warning, notice);
  or_throw(move_pidfile(pidfile_path(start_config_)));
  hooks_.workers_changed(start_config_.workers, std::nullopt);
  hooks_.on_starting();
  if (!wait_for_hooks(start_config_.boot_timeout)) return give_up_hooks();
  InheritedSockets none;
  InheritedSockets& inherited = parts_.inheritance != nullptr ? parts_.inheritance->sockets() : none;
  or_throw(admin_.bind(start_config_, inherited));
  if (admin_.is_on()) log::info("Status and metrics at: {}", admin_.addresses());
  if (!upgrade_.has_predecessor()) admin_.resume(now_);  // whose own one answers until this server serves
  site_.ledger.begin(Transaction::Kind::start, now_);
  succession_.begin(start_config_, hooks_, inherited);
  if (succession_.gone()) return;
  log::info("Using worker: native, {} handler thread{}", start_config_.threads, start_config_.threads == 1 ? "" : "s");
}

// Until they have returned or the limit has passed. False: a signal asks for the end meanwhile.
bool Master::wait_for_hooks(std::chrono::seconds limit) {
  HookProcess* const hooks = hooks_.process();
  const Instant end = deadline_after(narwhal::now(), limit);
  const Stop stop_before = stop_;
  while (hooks != nullptr) {
    const Instant now = narwhal::now();
    hooks->settle(now);
    if (hooks->idle() || now >= end) return true;
    pollfd watched[] = {
        {hooks->descriptor(), POLLIN, 0}, {signals_.descriptor(), POLLIN, 0}, {daemon_descriptor(), POLLIN, 0}};
    announcer_.turn(now);
    ::poll(watched, 3, poll_timeout(now, std::min({end, hooks->deadline(), announcer_.deadline()})));
    if (watched[2].revents != 0) settle_daemon();  // a hook that prints waits for a reader
    for (const int signo : signals_.arrived()) {
      on_signal(signo);
      if (signo == SIGINT || signo == SIGQUIT) return false;
    }
    if (stop_ != stop_before) return false;
  }
  return true;
}

// One that hangs must not keep the operator waiting for on_exit.
void Master::give_up_hooks() {
  log::warning("The start was interrupted while a hook was running: its process is ended");
  hooks_ = {};
}

void Master::turn() {
  wait();
  // Reports before deaths: a child's last report explains why it died.
  for (LiveGeneration* generation : succession_.all()) generation->read_reports(readable_, now_);
  for (const Record& command : admin_.read(readable_, now_)) carry_out(command);
  serve_signals();
  if (std::binary_search(readable_.begin(), readable_.end(), daemon_descriptor())) settle_daemon();
  check_watched_files();
  site_.log_process.settle(now_, site_.dice.roll());
  site_.leftovers.settle(now_);
  upgrade_.settle(now_,
                  in_peace() ? &succession_.serving()->plan() : nullptr);  // it may change what the next has to do
  admin_.settle(now_);
  succession_.settle(now_);
  if (succession_.first_boot_failure() && stop_ == Stop::none) {
    upgrade_.failed(succession_.first_boot_failure()->reason);
    stop(Stop::quick);
  }
  announcer_.update(succession_);
  announcer_.turn(now_);
  log::report_dropped();
  site_.ledger.log_process_failed(site_.log_process.failures());
  publish();
  // Only now, so that the admin process finds the counts of a worker that has ended in one place or the other.
  for (const std::uint32_t slot : site_.slots.take_ended()) {
    site_.scoreboard.clear(slot);
    site_.slots.give_back(slot);
  }
  if (const LiveGeneration* serving = succession_.serving()) {
    site_.log_process.count_workers(serving->workers_serving());
    backlog_metric_.settle(serving->plan().config(), serving->plan().listeners, now_);
  }
}

// No start, reload or stop is running.
bool Master::in_peace() const {
  return stop_ == Stop::none && succession_.serving() != nullptr && !succession_.in_transaction();
}

// -1, which poll() passes over: there is none, or nothing of it to wait for.
int Master::daemon_descriptor() const { return parts_.daemon == nullptr ? -1 : parts_.daemon->descriptor(); }

// Call it when its descriptor is readable.
void Master::settle_daemon() {
  if (parts_.daemon->settle() == Daemon::Event::none || stop_ != Stop::none) return;
  log::warning("The process that was to wait for the start has ended: the start is given up");
  stop(Stop::quick);
}

void Master::check_watched_files() {
  site_.file_watch.read_events(now_);
  const std::vector<std::string> changed = site_.file_watch.changed(now_);
  if (changed.empty()) return;
  const std::string others = changed.size() == 1 ? "" : fmt::format(" and {} more", changed.size() - 1);
  log::info("Reloading: {}{} modified", changed.front(), others);
  succession_.request_reload();
}

void Master::wait() {
  watched_.assign(1, {signals_.descriptor(), POLLIN, 0});
  if (site_.file_watch.descriptor() >= 0) watched_.push_back({site_.file_watch.descriptor(), POLLIN, 0});
  watched_.push_back({succession_.reading_descriptor(), POLLIN, 0});  // poll() passes over -1
  watched_.push_back({daemon_descriptor(), POLLIN, 0});
  upgrade_.add_sockets(watched_);
  site_.log_process.add_sockets(watched_);
  admin_.add_sockets(watched_);
  for (LiveGeneration* generation : succession_.all()) generation->add_sockets(watched_);
  const Instant before = narwhal::now();
  const Instant deadline =
      std::min({succession_.next_deadline(before), site_.file_watch.next_deadline(), site_.log_process.deadline(),
                site_.leftovers.deadline(), backlog_metric_.deadline(), announcer_.deadline(), log::report_due(),
                upgrade_.deadline(before), admin_.deadline(before), admin_.is_on() ? publisher_.deadline() : never});
  // On EINTR nothing is readable, and the signal's byte makes the next poll() return.
  const int ready = ::poll(watched_.data(), watched_.size(), poll_timeout(before, deadline));
  now_ = narwhal::now();
  log_if_set(clock_watch_, now_);
  readable_.clear();
  for (const pollfd& one : watched_) {
    if (ready > 0 && one.revents != 0) readable_.push_back(one.fd);
  }
  std::sort(readable_.begin(), readable_.end());
  if (now_ > std::max(before, deadline == never ? now_ : deadline) + overslept) {
    log::warning("The master did not run for {:.1f} s: its workers get another heartbeat_timeout",
                 seconds_of(now_ - std::max(before, deadline)));
    for (LiveGeneration* generation : succession_.all()) generation->restart_heartbeat_clock(now_);
  }
}

void Master::serve_signals() {
  for (const int signo : signals_.arrived()) on_signal(signo);
}

void Master::on_signal(int signo) {
  if (signo == SIGCHLD) return reap();
  if (signo == SIGWINCH && is_in_foreground()) return log::debug("Signal winch: the size of the terminal has changed");
  log::info("Handling signal: {}", short_name(signo));
  switch (signo) {
    case SIGTERM: return stop(Stop::graceful);
    case SIGINT:
    case SIGQUIT: return on_quit();
    case SIGHUP: return succession_.request_reload();
    case SIGTTIN: return succession_.change_target(+1);
    case SIGTTOU: return succession_.change_target(-1);
    case SIGUSR1: return reopen_logs();
    case SIGUSR2: return static_cast<void>(upgrade_.request(now_));
    case SIGWINCH: return retire_workers();
    default: log::debug("{} has no effect", signal_name(signo));
  }
}

void Master::retire_workers() {
  if (stop_ != Stop::none || succession_.serving() == nullptr) return;
  log::info("graceful stop of workers: new connections wait until HUP or TTIN starts workers again");
  succession_.retire_workers();
}

void Master::publish() {
  if (admin_.is_on()) publisher_.publish(succession_, site_.ledger, announcer_.status(), stop_ != Stop::none, now_);
}

// Of the generation that serves, if there is one.
const Config& Master::config() const {
  const LiveGeneration* const serving = succession_.serving();
  return serving == nullptr ? start_config_ : serving->plan().config();
}

void Master::on_quit() {
  if (stop_ == Stop::quick) return succession_.kill_all(now_);  // the operator does not want to wait
  if (stop_ == Stop::graceful) log::info("Quick shutdown requested");
  stop(Stop::quick);
}

void Master::stop(Stop how) {
  if (how == Stop::graceful && stop_ != Stop::none) return;
  if (std::exchange(stop_, how) == Stop::none) {
    publish();  // that it stops, before another master answers on the control socket, too
    if (const pid_t other = upgrade_.other_master(); other != 0) {
      announcer_.hand_over(other);
      admin_.leave(now_);
    }
    announcer_.stopping(now_, config().graceful_timeout + start_config_.graceful_timeout + spare);
    upgrade_.leave(now_);
  }
  site_.file_watch.end();
  if (how == Stop::graceful) return succession_.retire_all(now_);
  succession_.quit_all(now_);
}

void Master::reap() {
  while (const auto ended = reap_any()) {
    if (WIFSTOPPED(ended->status)) {
      log_stopped(ended->pid, WSTOPSIG(ended->status));
      continue;
    }
    bool known = succession_.reaped(ended->pid, ended->status) || upgrade_.reaped(ended->pid, ended->status, now_) ||
                 site_.log_process.reaped(ended->pid, ended->status, site_.dice.roll()) ||
                 admin_.reaped(ended->pid, ended->status, now_) ||
                 (hooks_.process() != nullptr && hooks_.process()->reaped(ended->pid, ended->status));
    for (LiveGeneration* generation : succession_.all()) {
      known = known || generation->reaped(ended->pid, ended->status, now_);
    }
    // The intermediate process between template and worker, or any orphan if this is the init of a container.
    if (!known) log::debug("Reaped pid {}, which is neither a template nor a worker", ended->pid);
  }
}

void Master::reopen_logs() {
  [[maybe_unused]] const auto or_former = log::reopen();  // the generation that uses it reports a failure
  for (LiveGeneration* generation : succession_.all()) generation->reopen_logs();
  site_.log_process.reopen();
  admin_.follow_log(config().errorlog);
}

int Master::shut_down() {
  const auto& failure = succession_.first_boot_failure();
  if (failure) {
    log::error("Shutting down: Master");
    log::error("Reason: {}", failure->exit_code == exit_app_failed ? "App failed to load." : "Worker failed to boot.");
  } else {
    log::info("Shutting down: Master");
  }
  run_on_exit();
  site_.leftovers.finish();
  admin_.end();
  // The end of the signal pipe restores the default actions: an INT after a TERM must not kill this exiting process.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  site_.log_process.end();
  return failure ? failure->exit_code : 0;
}

void Master::run_on_exit() {
  if (hooks_.process() == nullptr) return;
  hooks_.on_exit();
  const auto limit = std::max<std::chrono::seconds>(start_config_.graceful_timeout, std::chrono::seconds{1});
  wait_for_hooks(limit);
  if (!hooks_.idle()) {
    const std::string_view name = hooks_.process()->first_call();
    log::warning("{} has not returned within {} s: its process is ended{}", name, limit.count(),
                 name == "on_exit" ? "" : ", and on_exit does not run");
  }
  hooks_.process()->end_within(hooks_end_limit);
}

void Master::bound(const Plan& plan) {
  log::info("Listening at: {} ({})", addresses_ = addresses(plan), ::getpid());
  hooks_.listen_at(plan.listeners);
  hooks_.when_ready();
  if (!wait_for_hooks(start_config_.boot_timeout)) give_up_hooks();
  upgrade_.bound(admin_.listeners_after(plan.listeners));
}

void Master::reloading(Transaction::Kind kind, Instant now) {
  site_.ledger.begin(kind, now);
  log::info("Hang up: Master");
  announcer_.reloading(now, boot_limit(config()));
}

void Master::comparing(const std::string& what, const Config& next) {
  announcer_.comparing(what, now_, next.canary_time + boot_limit(next));
}

void Master::reload_failed(const std::string& why) {
  site_.ledger.refused(succession_.serving()->number(), why, narwhal::now());
  announcer_.reload_failed(why, succession_);
}

void Master::took_over(const Plan& plan, const Config* former) {
  const Config& config = plan.config();
  hooks_ = plan.hooks;
  const std::string remark = former != nullptr ? remark_of_reload(config) : "";
  site_.ledger.swapped(plan.number(), narwhal::now(), remark);
  announcer_.ready(succession_);
  // Workers that are root's are forked with the master's capabilities, and keep them.
  if (plan.identity.uid.value_or(0) != 0 && !config.keep_capabilities) keep_capabilities_of_master();
  if (former == nullptr) {
    upgrade_.serves();
    admin_.resume(now_);
    if (parts_.daemon != nullptr) parts_.daemon->started();
    return;
  }
  if (config.errorlog != former->errorlog) admin_.follow_log(config.errorlog);
  if (const auto opened = log::open(config.errorlog, config.loglevel); !opened) log::error("{}", opened.error());
  set_title(config);
  if (config.pidfile != former->pidfile) {
    if (const auto moved = move_pidfile(pidfile_path(config)); !moved) log::error("{}", moved.error());
  }
  if (addresses(plan) != addresses_) log::info("Listening at: {} ({})", addresses_ = addresses(plan), ::getpid());
  if (!remark.empty()) log::warning("Reload: {}", remark);
  admin_.renew_lost_files(now_);
}

std::string Master::remark_of_reload(const Config& config) const {
  const std::string keys = joined(needs_restart(start_config_, config), ", ");
  return keys.empty() ? "" : "restart narwhal to apply the new value of " + keys;
}

}  // namespace narwhal::server
