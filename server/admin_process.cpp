#include "server/admin_process.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "core/app_title.hpp"
#include "core/child.hpp"
#include "core/close_all_but.hpp"
#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/log_output.hpp"
#include "server/child_environment.hpp"
#include "server/sockets/listeners.hpp"
#include "server/sockets/open_listener.hpp"

namespace narwhal::server {
namespace {

constexpr std::uint64_t no_generation = std::numeric_limits<std::uint64_t>::max();
constexpr int commands_a_turn = 16;
constexpr std::chrono::seconds heartbeat_check{1};

// Not the server's: a small worker, which shows its pages whatever the application's limits are.
Config settings_of(const Config& server) {
  Config own;
  own.routes = {{"", "admin", {}}};
  own.bind.clear();
  own.threads = 4;
  own.worker_connections = 1000;
  own.queue_size = 64;
  own.timeout = 10s;
  // Short: clients that only hold connections must not keep narwhalctl and a probe out for long.
  own.header_timeout = own.body_timeout = own.write_timeout = own.keepalive = 3s;
  own.graceful_timeout = 1s;
  own.limit_request_body = own.body_buffer_size;
  own.boot_timeout = server.boot_timeout;
  own.heartbeat_timeout = server.heartbeat_timeout;
  own.user = server.user;
  own.group = server.group;
  own.initgroups = server.initgroups;
  own.start_directory = server.start_directory;
  own.proc_name = app_title(server);
  own.errorlog = server.errorlog;
  own.loglevel = server.loglevel;
  own.control_socket = server.control_socket;
  own.control_socket_mode = server.control_socket_mode;
  own.admin_bind = server.admin_bind;
  return own;
}

Result<std::shared_ptr<Listener>> open(const Bind& bind, unsigned mode) {
  ListenOptions options;
  const bool is_control = bind.kind == Bind::Kind::unix_socket;
  if (is_control) options.rights.mode = static_cast<mode_t>(mode);
  options.backlog = bind.options.backlog.value_or(options.backlog);
  Opened opened = open_listener(bind, options);
  if (!opened.listener) return Error{(is_control ? "control_socket: " : "admin_bind: ") + opened.reason};
  return std::move(opened.listener);
}

Result<ListenerList> listen(const Config& config, InheritedSockets& inherited) {
  ListenerList listeners;
  std::vector<Bind> binds = config.admin_bind;
  if (!config.control_socket.empty()) {
    Bind control;
    control.kind = Bind::Kind::unix_socket;
    control.path = config.control_socket;
    binds.insert(binds.begin(), control);
  }
  for (const Bind& bind : binds) {
    // With port 0, which the kernel chooses, it cannot be distinguished from a socket of the application's.
    const bool is_known = bind.kind == Bind::Kind::unix_socket || bind.port != 0;
    if (auto listener = is_known ? inherited.take(bind) : nullptr) {
      listeners.push_back(std::move(listener));
      continue;
    }
    auto opened = open(bind, config.control_socket_mode);
    if (!opened) return Error{opened.error()};
    listeners.push_back(*std::move(opened));
  }
  return listeners;
}

}  // namespace

AdminProcess::~AdminProcess() { end(); }

Result<Done> AdminProcess::bind(const Config& config, InheritedSockets& inherited) {
  if (config.control_socket.empty() && config.admin_bind.empty()) return Done{};
  auto listeners = listen(config, inherited);
  if (!listeners) return Error{listeners.error()};
  auto identity = resolve_identity(config.user, config.group);
  if (!identity) return Error{identity.error()};
  auto generation = std::make_shared<Generation>();
  generation->number = no_generation;
  generation->config = settings_of(config);
  plan_ = Plan{std::move(generation), *std::move(listeners), *std::move(identity)};
  return Done{};
}

void AdminProcess::resume(Instant now) {
  if (is_on() && !process_) start(now);
}

void AdminProcess::pause() {
  end();
  due_ = never;
}

void AdminProcess::leave(Instant now) {
  is_leaving_ = true;
  due_ = never;
  if (process_) process_->apply(Event::retire, now);
}

void AdminProcess::renew_lost_files(Instant now) {
  bool has_new = false;
  for (auto& listener : plan_.listeners) {
    if (!has_lost_file(listener->bind)) continue;
    auto opened = open(listener->bind, plan_.config().control_socket_mode);
    if (!opened) {
      log::error("{}", opened.error());
      continue;
    }
    log::warning("{} was removed: listening on a new socket there", listener->bind.path);
    listener = *std::move(opened);
    has_new = true;
  }
  if (!has_new || !process_) return;
  end();
  start(now);
}

ListenerList AdminProcess::listeners_after(ListenerList others) const {
  others.insert(others.end(), plan_.listeners.begin(), plan_.listeners.end());
  return others;
}

std::string AdminProcess::addresses() const {
  return joined(plan_.listeners, ",", [](const auto& listener) -> const std::string& { return listener->address; });
}

void AdminProcess::start(Instant now) {
  due_ = never;
  const auto slot = site_.slots.take_last();
  if (!slot) return start_later("all worker slots are in use", now);
  site_.scoreboard.clear(*slot);
  const auto forked = fork(*slot, now);
  if (forked) return;
  site_.slots.give_back(*slot);
  start_later(forked.error(), now);
}

Result<Done> AdminProcess::fork(std::uint32_t slot, Instant now) {
  auto channel = open_pair();
  if (!channel) return Error{channel.error()};
  auto commands = open_pair();
  if (!commands) return Error{commands.error()};
  auto child = fork_child([&] { return run_in_child(std::move(channel->child), std::move(commands->child), slot); });
  if (!child) return Error{child.error()};
  child_.emplace(*std::move(child));
  commands_ = std::move(commands->master);
  process_.emplace(slot, std::move(channel->master), *plan_.generation, now, "the admin process");
  return Done{};
}

int AdminProcess::run_in_child(Fd master, Fd commands, std::uint32_t slot) {
  std::vector<int> kept{master.get(), commands.get(), log::descriptor()};
  for (const auto& listener : plan_.listeners) kept.push_back(listener->fd.get());
  close_all_but(kept);
  if (const auto entered = enter_child_environment(plan_, EndsWithMaster::yes); !entered) {
    log::error("The admin process: {}", entered.error());
    return exit_boot_failed;
  }
  AdminSeat seat;
  seat.seat.generation = plan_.generation;
  seat.seat.slot = slot;
  seat.seat.master = std::move(master);
  for (const auto& listener : plan_.listeners) seat.seat.listeners.push_back(listener.get());
  seat.seat.scoreboard = &site_.scoreboard;
  seat.seat.is_admin = true;
  seat.commands = std::move(commands);
  seat.board = &board_;
  return body_(std::move(seat));
}

void AdminProcess::start_later(const std::string& why, Instant now, LogLevel level) {
  const auto delay = backoff_.failed(site_.dice.roll());
  due_ = now + delay;
  if (log::enabled(level))
    log::write(level, fmt::format("The admin process {}; it is started again in {:.1f} s", why, seconds_of(delay)));
}

void AdminProcess::add_sockets(std::vector<pollfd>& watched) const {
  if (commands_) watched.push_back({commands_.get(), POLLIN, 0});
  if (process_ && process_->socket() >= 0) watched.push_back({process_->socket(), POLLIN, 0});
}

Instant AdminProcess::deadline(Instant now) const {
  if (!process_) return due_;
  return process_->gone() ? now : std::min(process_->deadline(), Instant(now + heartbeat_check));
}

std::vector<Record> AdminProcess::read(std::span<const int> readable, Instant now) {
  const auto is_readable = [&](int descriptor) {
    return descriptor >= 0 && std::binary_search(readable.begin(), readable.end(), descriptor);
  };
  std::vector<Record> commands;
  if (is_readable(commands_.get())) {
    for (int i = 0; i < commands_a_turn; ++i) {
      const Received received = receive_record(commands_.get());
      if (received.status == Received::Status::record) {
        commands.push_back(received.record);
        continue;
      }
      if (received.status == Received::Status::gone) commands_ = Fd();
      break;
    }
  }
  if (process_ && is_readable(process_->socket())) process_->read_reports(now);
  return commands;
}

void AdminProcess::settle(Instant now) {
  if (now >= due_) start(now);
  if (!process_) return;
  process_->check_time(now);
  const auto& beat = site_.scoreboard.slot(process_->slot()).heartbeat;
  process_->check_heartbeat(beat.load(std::memory_order_relaxed), now);
  if (process_->life() == Life::ready) process_->apply(Event::admit, now);
  // A page of ours hangs: there is no second process that could take its place meanwhile.
  if (process_->life() == Life::outgoing) process_->apply(Event::retire, now);
}

bool AdminProcess::reaped(pid_t pid, int status, Instant now) {
  if (!child_ || child_->pid() != pid) return false;
  child_->reaped();
  child_.reset();
  process_->reaped(status, now);
  site_.ledger.process_ended("admin");
  if (process_->served(now) >= Backoff::long_life) backoff_.recovered();
  site_.scoreboard.clear(process_->slot());
  site_.slots.give_back(process_->slot());
  process_.reset();
  commands_ = Fd();
  if (is_leaving_) return true;
  // A signal to the whole process group: the master has got it too.
  const bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  start_later("(pid:" + std::to_string(pid) + ") " + describe_exit(status), now,
              in_order ? LogLevel::info : LogLevel::error);
  return true;
}

void AdminProcess::follow_log(const std::string& errorlog) {
  if (!process_ || errorlog.empty() || errorlog == "-") return;
  const auto file = open_log_file(errorlog);
  if (file) process_->send_log(Order::error_log, *file);
}

void AdminProcess::end() {
  if (!child_) return;
  // It has nothing to lose: what it shows is in the master's memory.
  child_->send(SIGKILL);
  while (::waitpid(child_->pid(), nullptr, 0) < 0 && errno == EINTR) continue;
  child_->reaped();
  child_.reset();
  site_.scoreboard.clear(process_->slot());
  site_.slots.give_back(process_->slot());
  process_.reset();
  commands_ = Fd();
}

}  // namespace narwhal::server
