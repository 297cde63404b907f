#include "server/announcer.hpp"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "core/child.hpp"
#include "core/close_all_but.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "core/records.hpp"
#include "core/time_limit.hpp"

namespace narwhal::server {
namespace {

constexpr int helper_limit = 5000;  // ms
constexpr char upgrade_failed[] = "Upgrade failed: ";

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
  last_status_ = "Stopping";
  send([](const Notifier& notifier) { return notifier.stopping("Stopping"); });
  wait(now, limit);
}

void Announcer::set_upgrade(std::string text) {
  if (failure_.starts_with(upgrade_failed)) failure_.clear();
  upgrade_ = std::move(text);
}

void Announcer::upgrade_ended(const std::string& why) {
  set_upgrade("");
  if (!why.empty()) failure_ = upgrade_failed + why;
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

// systemd stops a main process that is not its child without waiting for its end. It looks whose child a process is only
// when the main process changes: so another one is it for a moment, which alone may say that this one is it again.
void Announcer::confirm_main() const {
  if (silent_ || stopping_ || notifier_.socket_name().empty()) return;
  auto pair = open_pair();
  if (!pair) return log::debug("{}", pair.error());
  const pid_t own = ::getpid();
  auto helper = fork_child([&] {
    close_all_but({pair->child.get()});
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_process_title("narwhal: notify");
    pollfd begin{pair->child.get(), POLLIN, 0};
    if (::poll(&begin, 1, helper_limit) <= 0) return 1;
    static_cast<void>(notifier_.main_pid(own));
    ::poll(nullptr, 0, helper_limit);  // the service manager believes a process that still is there
    return 0;
  });
  if (!helper) return log::debug("{}", helper.error());
  log_failure(notifier_.main_pid(helper->pid()));
  helper->reaped();  // by the master, as any other child
  static_cast<void>(::send(pair->master.get(), "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
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
