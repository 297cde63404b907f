#include "server/announcer.hpp"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <utility>

#include "core/log.hpp"
#include "core/time_limit.hpp"

namespace narwhal::server {
namespace {

// The first after a second: a quick start, reload or stop needs none.
constexpr std::chrono::seconds first_extension{1}, extend_every{5}, extend_by{20};

// The server continues to serve whether or not the service manager receives this.
void log_failure(const Result<Done>& sent) {
  if (!sent) log::debug("{}", sent.error());
}

}  // namespace

// Only the service is believed.
template <class Send>
void Announcer::send(Send send) const {
  if (!silent_) log_failure(send(notifier_));
}

Announcer::Announcer(bool silent) : notifier_(Notifier::from_environment()), silent_(silent) {
  if (notifier_.watchdog().count() > 0) next_alive_ = unset;
  stops_once_ready_ = ::getenv("NARWHAL_EXPECT_STOP") != nullptr;
  ::unsetenv("NARWHAL_EXPECT_STOP");
}

void Announcer::turn(Instant now) {
  if (now >= next_alive_) {
    next_alive_ = now + notifier_.watchdog() / 3;
    send([](const Notifier& notifier) { return notifier.alive(); });
  }
  if (now < next_extension_) return;
  next_extension_ = now < wait_end_ ? Instant(now + extend_every) : never;
  if (now < wait_end_) send([](const Notifier& notifier) { return notifier.extend(extend_by); });
}

void Announcer::wait(Instant now, std::chrono::seconds limit) {
  if (notifier_.socket_name().empty() || limit.count() == 0) return end_wait();
  wait_end_ = deadline_after(now, limit);
  next_extension_ = now + first_extension;
}

void Announcer::ready(const Succession& succession) {
  end_wait();
  failure_.clear();
  last_status_ = status_text(succession);
  send([&](const Notifier& notifier) { return notifier.ready(last_status_); });
  if (std::exchange(stops_once_ready_, false)) ::raise(SIGSTOP);  // Upstart sends CONT when it has seen it
}

void Announcer::reloading(Instant now, std::chrono::seconds limit) {
  last_status_ = "Reloading";
  send([&](const Notifier& notifier) { return notifier.reloading(now, last_status_); });
  wait(now, limit);
}

void Announcer::comparing(const std::string& what, Instant now, std::chrono::seconds limit) {
  log_failure(notifier_.status(last_status_ = "Reloading, " + what));
  wait(now, limit);
}

void Announcer::reload_failed(const std::string& why, const Succession& succession) {
  end_wait();
  failure_ = why;
  last_status_ = status_text(succession);
  send([&](const Notifier& notifier) { return notifier.ready(last_status_); });
}

void Announcer::stopping(Instant now, std::chrono::seconds limit) {
  stopping_ = true;
  send([](const Notifier& notifier) { return notifier.stopping("Stopping"); });
  wait(now, limit);
}

void Announcer::hand_over(pid_t to) {
  send([&](const Notifier& notifier) { return notifier.main_pid(to); });
  silent_ = true;
}

void Announcer::be_main(const Succession& succession) {
  if (!std::exchange(silent_, false)) return;
  // If the other process has ended without a message, the service manager believes this one only with NotifyAccess=all.
  send([](const Notifier& notifier) { return notifier.main_pid(::getpid()); });
  if (stopping_ || succession.serving() == nullptr) return;
  last_status_ = status_text(succession);
  send([&](const Notifier& notifier) { return notifier.ready(last_status_); });
}

void Announcer::update(const Succession& succession) {
  if (stopping_ || succession.in_transaction() || succession.serving() == nullptr) return;
  std::string text = status_text(succession);
  if (text == last_status_) return;
  last_status_ = std::move(text);
  send([&](const Notifier& notifier) { return notifier.status(last_status_); });
}

std::string Announcer::status_text(const Succession& succession) const {
  const LiveGeneration& serving = *succession.serving();
  std::string text = fmt::format("Generation {}: {} of {} workers serving", serving.number(), serving.workers_serving(),
                                 serving.target());
  if (serving.target() == 0) text += " (WINCH: HUP or TTIN starts workers again)";
  if (const std::size_t leaving = succession.leaving_count(); leaving > 0) {
    text += fmt::format(", {} earlier generation{} leaving", leaving, leaving == 1 ? "" : "s");
  }
  if (!upgrade_.empty()) text += ". " + upgrade_;
  return failure_.empty() ? text : text + ". " + failure_;
}

}  // namespace narwhal::server
