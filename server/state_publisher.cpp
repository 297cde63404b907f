#include "server/state_publisher.hpp"

#include <unistd.h>

#include <ctime>
#include <utility>

#include "core/result.hpp"
#include "server/accept_queue.hpp"

namespace narwhal::server {
namespace {

constexpr std::chrono::seconds interval{1};  // of the beat, and of looking at the listening sockets

}  // namespace

StatePublisher::StatePublisher(std::string version, std::string title) : board_(or_throw(Board::create())) {
  state_.version = std::move(version);
  state_.title = std::move(title);
  state_.pid = ::getpid();
  state_.started = std::time(nullptr);
  state_.started_at = narwhal::now();
}

void StatePublisher::answer(CommandAnswer answer) {
  state_.answers.push_back(std::move(answer));
  if (state_.answers.size() > answers_max) state_.answers.erase(state_.answers.begin());
}

void StatePublisher::publish(const Succession& succession, const Ledger& ledger, const std::string& status,
                             bool stopping, Instant now) {
  if (now >= due_) look_at_listeners(succession, now);
  state_.pid = ::getpid();  // with --daemon not that of the constructor
  state_.serving = succession.serving() != nullptr ? succession.serving()->number() : 0;
  state_.stopping = stopping;
  state_.status = status;
  state_.generations.clear();
  for (const LiveGeneration* generation : succession.all()) state_.generations.push_back(generation->facts());
  ledger.write_to(state_);
  std::string bytes = bytes_of(state_);
  if (bytes != published_ && board_.publish(bytes)) published_ = std::move(bytes);
  board_.beat(now);
}

void StatePublisher::look_at_listeners(const Succession& succession, Instant now) {
  due_ = now + interval;
  state_.listeners.clear();
  if (succession.serving() == nullptr) return;
  for (const auto& listener : succession.serving()->plan().listeners)
    state_.listeners.push_back({listener->address, accept_queue_of(listener->fd.get())});
}

}  // namespace narwhal::server
