#include "server/upgrade.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "server/sockets/unix_listener.hpp"

namespace narwhal::server {
namespace {

constexpr std::chrono::milliseconds request_pause{20};  // between looks whether a reload or a hook has ended
constexpr std::chrono::milliseconds promotion_pause{20};
constexpr std::chrono::seconds promotion_limit{2};

}  // namespace

Upgrade::Upgrade(Program program, Inheritance* inheritance, Site& site, Observer& observer)
    : program_(std::move(program)),
      inheritance_(inheritance),
      site_(site),
      observer_(observer),
      predecessor_(inheritance != nullptr ? inheritance->channel() : no_channel_) {
  if (!has_predecessor()) return;
  predecessor_pid_ = inheritance_->from();
  predecessor_.send("step");
}

Result<Done> Upgrade::request(Instant now) {
  const std::string obstacle = obstacle_now();
  if (!obstacle.empty()) {
    log::warning("USR2 signal ignored. {}", obstacle);
    return Error{obstacle};
  }
  requested_ = true;
  site_.ledger.begin(Transaction::Kind::upgrade, now);
  return Done{};
}

std::string Upgrade::obstacle_now() const {
  if (leaving_) return "The server is stopping.";
  if (has_predecessor())
    return fmt::format("Parent exists. (pid:{}; send TERM to it to finish the upgrade)", predecessor_pid_);
  // One that leaves will soon have ended: the upgrade begins then.
  if (next_.state() != NextMaster::State::none && !other_leaves_)
    return fmt::format("Child exists. (pid:{})", next_.pid());
  return requested_ || calling_ ? "The upgrade begins already." : "";
}

void Upgrade::settle(Instant now, const Plan* serving) {
  read_predecessor(now);
  for (auto event = next_.settle(now); event != NextMaster::Event::none; event = next_.settle(now)) take_event(event);
  if (requested_ && !leaving_) begin_if_due(now, serving);
  if (now >= promotion_due_ && !leaving_) promote(now);
}

void Upgrade::begin_if_due(Instant now, const Plan* serving) {
  if (serving == nullptr) {
    if (!has_logged_that_it_waits_) log::info("Upgrade: it begins when the start or reload that is running has ended");
    has_logged_that_it_waits_ = true;
    return;
  }
  if (next_.state() != NextMaster::State::none) return;
  if (!calling_) {
    calling_ = serving->hooks;
    calling_->pre_exec();
  }
  if (!calling_->idle()) return;
  calling_.reset();
  requested_ = has_logged_that_it_waits_ = false;
  begin(now, serving->config());
}

void Upgrade::begin(Instant now, const Config& config) {
  const ListenerList listeners = observer_.listeners_to_hand_over();
  const auto started = next_.start(program_, listeners, config.boot_timeout, now);
  if (!started) return alone_again(started.error());
  other_leaves_ = false;
  share(listeners);
  log::info("Upgrade: {} is started as a new master (pid:{})", program_.path, next_.pid());
  observer_.new_master_starts(next_.pid());
}

void Upgrade::take_event(NextMaster::Event event) {
  switch (event) {
    case NextMaster::Event::none: return;
    case NextMaster::Event::ready:
      if (leaving_) return;
      log::info(
          "Upgrade: the new master (pid:{0}) serves beside this one: send TERM to this one (pid:{1}) to finish, or "
          "TERM to "
          "the new one to go back",
          next_.pid(), ::getpid());
      site_.ledger.upgraded("", narwhal::now());
      observer_.new_master_ready(next_.pid());
      return next_.send("main");
    case NextMaster::Event::leaving:
      if (!std::exchange(other_leaves_, true)) alone_again("");
      return;
    case NextMaster::Event::failed: return alone_again(next_.reason());
    case NextMaster::Event::ended:
      if (other_leaves_) return log::info("Upgrade: {}", next_.reason());
      return alone_again(next_.reason());
  }
}

void Upgrade::alone_again(const std::string& why) {
  unshare();
  if (leaving_)
    return log::error("Upgrade: {}, and this server stops as well", why.empty() ? "the new master stops" : why);
  if (why.empty()) {
    log::info("Upgrade: the new master (pid:{}) stops: this one goes on", next_.pid());
  } else {
    log::error("Upgrade failed: {}. This server continues; repair the program or its settings, then send USR2 again",
               why);
  }
  site_.ledger.upgraded(why, narwhal::now());
  observer_.took_back(why);
}

void Upgrade::add_sockets(std::vector<pollfd>& watched) const {
  watched.push_back({next_.descriptor(), POLLIN, 0});  // poll() passes over -1
  watched.push_back({predecessor_.descriptor(), POLLIN, 0});
}

Instant Upgrade::deadline(Instant now) const {
  const Instant looks = requested_ && !leaving_ ? now + request_pause : never;
  return std::min({next_.deadline(), leaving_ ? never : promotion_due_, looks});
}

bool Upgrade::reaped(pid_t pid, int status, Instant now) {
  if (!next_.reaped(pid, status)) return false;
  site_.leftovers.end_group(pid, now);  // of a program that is not this one, or that has not come far
  return true;
}

void Upgrade::read_predecessor(Instant now) {
  if (!has_predecessor()) return;
  while (const auto message = predecessor_.receive()) {
    if (*message == "main") observer_.became_main();
    if (*message != "leaving") continue;
    other_leaves_ = true;
    unshare();
  }
  if (has_predecessor()) return;
  unshare();
  if (inheritance_ != nullptr) inheritance_->sockets().close();
  if (leaving_) return;
  orphaned_at_ = now;
  promote(now);
}

// The old master has closed its descriptors; a moment later it is gone, and this one has another parent.
void Upgrade::promote(Instant now) {
  const bool may_wait = now < orphaned_at_ + promotion_limit;
  promotion_due_ = now + promotion_pause;
  if (::getppid() == predecessor_pid_ && may_wait) return;
  if (!std::exchange(promoted_, true)) {
    log::info("Master has been promoted.");
    observer_.promoted();
  }
  const auto taken = observer_.take_pidfile();
  if (!taken && may_wait) return;
  if (!taken) log::error("{}", taken.error());
  promotion_due_ = never;
}

void Upgrade::bound(const ListenerList& listeners) {
  if (!has_predecessor()) return;
  share(listeners);
  for (const SocketFile& file : inheritance_->sockets().files()) {
    const auto has_it = [&](const Shared& each) { return each.file.path == file.path; };
    if (std::none_of(shared_.begin(), shared_.end(), has_it)) shared_.push_back({{}, file});
  }
  inheritance_->sockets().close();
  predecessor_.send("step");
}

// Those that were opened meanwhile are this master's alone.
void Upgrade::share(const ListenerList& listeners) {
  for (const auto& listener : listeners) {
    const bool is_own = has_predecessor() && !listener->shared;
    if (is_own) continue;
    listener->shared = true;
    shared_.push_back({listener, listener->file});
  }
}

// The other master closes its sockets: what this one still has is its own, and what it has closed is nobody's.
void Upgrade::unshare() {
  for (const Shared& each : std::exchange(shared_, {})) {
    if (const auto listener = each.listener.lock()) {
      listener->shared = false;
    } else if (!each.file.path.empty()) {
      remove_socket_file(each.file);
    }
  }
}

pid_t Upgrade::other_master() const {
  if (has_predecessor()) return other_leaves_ ? 0 : predecessor_pid_;
  const bool goes_on = next_.state() == NextMaster::State::starting || next_.state() == NextMaster::State::serving;
  return goes_on && !other_leaves_ ? next_.pid() : 0;
}

void Upgrade::leave(Instant now) {
  read_predecessor(now);
  leaving_ = true;
  if (next_.state() == NextMaster::State::starting)
    log::warning("Upgrade: the new master (pid:{}) does not serve yet, and goes on without this one", next_.pid());
  take_event(next_.settle(now));
  for (const std::string_view word : {"main", "leaving"}) next_.send(word);
  predecessor_.send("leaving");
  next_.let_go();
}

}  // namespace narwhal::server
