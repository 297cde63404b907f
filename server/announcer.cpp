#include "server/announcer.hpp"

#include "core/log.hpp"

namespace narwhal::server {
namespace {

// The server continues to serve whether or not the service manager receives this.
void tolerate(const Result<Done>& sent) {
  if (!sent) log::debug("{}", sent.error());
}

}  // namespace

void Announcer::ready(const Succession& succession) {
  failure_.clear();
  said_ = status_text(succession);
  tolerate(notifier_.ready(said_));
}

void Announcer::reloading(Instant now) { tolerate(notifier_.reloading(now, said_ = "Reloading")); }

void Announcer::reload_failed(const std::string& why, const Succession& succession) {
  failure_ = why;
  said_ = status_text(succession);
  tolerate(notifier_.ready(said_));
}

void Announcer::stopping() {
  stopping_ = true;
  tolerate(notifier_.stopping("Stopping"));
}

void Announcer::look_at(const Succession& succession) {
  if (stopping_ || succession.in_transaction() || succession.serving() == nullptr) return;
  std::string text = status_text(succession);
  if (text == said_) return;
  said_ = std::move(text);
  tolerate(notifier_.status(said_));
}

std::string Announcer::status_text(const Succession& succession) const {
  const LiveGeneration& serving = *succession.serving();
  std::string text = fmt::format("Generation {}: {} of {} workers serving", serving.number(), serving.workers_serving(),
                                 serving.target());
  if (const std::size_t leaving = succession.leaving_count(); leaving > 0) {
    text += fmt::format(", {} earlier generation{} leaving", leaving, leaving == 1 ? "" : "s");
  }
  return failure_.empty() ? text : text + ". " + failure_;
}

}  // namespace narwhal::server
