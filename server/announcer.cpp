#include "server/announcer.hpp"

#include "core/log.hpp"

namespace narwhal::server {
namespace {

// The server continues to serve whether or not the service manager receives this.
void log_failure(const Result<Done>& sent) {
  if (!sent) log::debug("{}", sent.error());
}

}  // namespace

void Announcer::ready(const Succession& succession) {
  failure_.clear();
  last_status_ = status_text(succession);
  log_failure(notifier_.ready(last_status_));
}

void Announcer::reloading(Instant now) { log_failure(notifier_.reloading(now, last_status_ = "Reloading")); }

void Announcer::reload_failed(const std::string& why, const Succession& succession) {
  failure_ = why;
  last_status_ = status_text(succession);
  log_failure(notifier_.ready(last_status_));
}

void Announcer::stopping() {
  stopping_ = true;
  log_failure(notifier_.stopping("Stopping"));
}

void Announcer::update(const Succession& succession) {
  if (stopping_ || succession.in_transaction() || succession.serving() == nullptr) return;
  std::string text = status_text(succession);
  if (text == last_status_) return;
  last_status_ = std::move(text);
  log_failure(notifier_.status(last_status_));
}

std::string Announcer::status_text(const Succession& succession) const {
  const LiveGeneration& serving = *succession.serving();
  std::string text = fmt::format("Generation {}: {} of {} workers serving", serving.number(), serving.workers_serving(),
                                 serving.target());
  if (serving.target() == 0) text += " (WINCH: HUP or TTIN starts workers again)";
  if (const std::size_t leaving = succession.leaving_count(); leaving > 0) {
    text += fmt::format(", {} earlier generation{} leaving", leaving, leaving == 1 ? "" : "s");
  }
  return failure_.empty() ? text : text + ". " + failure_;
}

}  // namespace narwhal::server
