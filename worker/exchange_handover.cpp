// Between the threads: how an answer gets from the thread that makes it to the loop, and how that thread waits.
#include <algorithm>
#include <new>
#include <utility>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// Gives the loop back, also when memory runs out on the way.
class Release {
 public:
  explicit Release(Crew& crew) : crew_(crew) {}
  Release(const Release&) = delete;
  Release& operator=(const Release&) = delete;
  ~Release() { crew_.release(); }

 private:
  Crew& crew_;
};

}  // namespace

// The answer is complete, or nobody wants it any more. Inside handle() the loop finds out when it returns.
void Exchange::end_answer() {
  if (on_handler_thread()) {
    finished_in_handler_ = true;
    return;
  }
  hand_over(Push::now, Last::yes);
}

// Its connection stays with it until handle() has returned.
void Exchange::flush() {
  const bool anything = (out != nullptr && out->size() != 0) || !segments_.empty();
  if (on_handler_thread() && anything) hand_over(Push::soon, answer_ == Answer::finished ? Last::yes : Last::no);
}

void Exchange::move_to_handover() noexcept {
  head_handed_over_ = answer_ != Answer::none;
  const auto move = [this](Segment segment) {
    segment.counted = true;
    unsent_.fetch_add(segment.size, std::memory_order_relaxed);
    handover_.push_back(segment);
  };
  if (out != nullptr && out->size() != 0) {
    response_head_ = {};
    move({.data = out->bytes() + out->begin, .size = out->size(), .release = Loop::drop_buffer, .release_arg = out});
    out = nullptr;
  }
  for (const Segment& segment : segments_) move(segment);
  segments_.clear();
}

// So much that moving them cannot fail half-way. Throws std::bad_alloc.
void Exchange::make_room_in_handover() {
  const std::size_t needed = handover_.size() + segments_.size() + 1;
  if (handover_.capacity() < needed) handover_.reserve(std::max(needed, 2 * handover_.capacity()));
}

void Exchange::drop_unsent() noexcept {
  for (Segment& segment : segments_) discard(segment);
  segments_.clear();
  if (out != nullptr) out->end = out->begin;
  response_head_ = {};
}

// Memory has run out: of what has not left by now nothing can be told any more.
void Exchange::cut_off() noexcept {
  drop_unsent();
  if (answer_ == Answer::none) return;  // it was an interim answer, which is advice
  if (std::exchange(cut_, true)) return;
  log::error("{} {}: out of memory: the response is cut off", head.method.view(), head.target.view());
}

void Exchange::hand_over(Push push, Last last) noexcept {
  Loop& loop = loop_;  // this exchange may be recycled as soon as the loop knows of its end
  const Instant now = narwhal::now();
  speak(now);
  const bool direct = on_handler_thread() && loop.crew().reclaim();
  {
    const std::lock_guard lock(mutex_);
    try {
      if (!direct) std::for_each(segments_.begin(), segments_.end(), own);
      make_room_in_handover();
      move_to_handover();
    } catch (const std::bad_alloc&) {
      cut_off();
    }
    handed_over_ = true;
    handover_ended_ = last == Last::yes;
    if (!direct && posted.exchange(true, std::memory_order_acq_rel)) return;
  }
  if (!direct) return loop.posts().post_marked(*this);
  const bool overdue = loop.overdue(handler_called, now);
  {
    const Release in_the_end(loop.crew());
    if (connection != nullptr) connection->take_part(*this, push);
  }
  // Who writes and writes is never seen at one thing for long enough to lose the loop.
  if (overdue && !mount->is_inline()) loop.crew().tend_in_passing();
}

Exchange::Taken Exchange::take_handover(std::vector<Segment>& segments) {
  const std::lock_guard lock(mutex_);
  gathered = false;
  const bool handler_done = returned && !deferred;
  if (handler_done) {  // its thread does not touch them any more
    make_room_in_handover();
    move_to_handover();
  }
  segments.swap(handover_);
  return {.begun = head_handed_over_, .ended = handler_done || handover_ended_};
}

bool Exchange::drop_handover() noexcept {
  const std::lock_guard lock(mutex_);
  for (Segment& segment : handover_) discard(segment);
  handover_.clear();
  return handover_ended_ || (returned && !deferred);
}

bool Exchange::answer_ended() {
  const std::lock_guard lock(mutex_);
  return handover_ended_ || ended;
}

void Exchange::sent(std::uint64_t bytes) {
  const std::uint64_t before = unsent_.fetch_sub(bytes, std::memory_order_relaxed);
  const std::size_t low = low_water();
  if (before < low || before - bytes >= low) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

// A writer that had to wait goes on when this little is left, so that it has much to do before it waits again.
std::size_t Exchange::low_water() const noexcept { return loop_.config().response_buffer_size / 4 + 1; }

// Only the handler's own thread counts: what a deferred exchange's writer does keeps nobody waiting.
void Exchange::speak(Instant now) noexcept {
  if (!on_handler_thread()) return;
  longest_stretch_ = longest_stretch(now);
  spoke_ = now;
}

// What a handler does often: who holds the loop is seen at something new, and turns it when it is time.
void Exchange::come_by() {
  const Instant now = narwhal::now();
  speak(now);
  if (!on_handler_thread() || mount->is_inline() || !loop_.crew().reclaim()) return;
  const bool overdue = loop_.overdue(handler_called, now);
  loop_.crew().release();
  if (overdue) loop_.crew().tend_in_passing();
}

void Exchange::ask_for_more_body() {
  if (!on_handler_thread() || !loop_.crew().reclaim()) return loop_.posts().post(*this);
  const Release in_the_end(loop_.crew());
  if (connection != nullptr) connection->resume_body();
}

// What the socket has of the body, without a copy; 0: nothing, or the loop is not in hand.
std::size_t Exchange::read_straight(char* buffer, std::size_t size) {
  if (!on_handler_thread() || !loop_.crew().reclaim()) return 0;
  const Release in_the_end(loop_.crew());
  return connection != nullptr ? connection->read_body_into(buffer, size) : 0;
}

void Exchange::begin_wait() noexcept {
  const Instant now = narwhal::now();
  speak(now);
  client_wait.begin(now);
}

void Exchange::end_wait() noexcept {
  const Instant now = narwhal::now();
  if (on_handler_thread()) spoke_ = now;
  client_wait.end(now);
}

int Exchange::wait_for_room(bool may_wait) {
  const std::size_t bound = loop_.config().response_buffer_size;
  if (unsent_.load(std::memory_order_relaxed) < bound) return NARWHAL_OK;
  if (!may_wait || mount->is_inline()) return NARWHAL_AGAIN;
  const auto has_room = [this] { return unsent_.load(std::memory_order_relaxed) < low_water() || gone(); };
  begin_wait();
  if (!on_handler_thread() || !loop_.crew().tend_until(has_room)) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, has_room);
  }
  end_wait();
  return gone() ? NARWHAL_GONE : NARWHAL_OK;
}

void Exchange::set_gone() {
  connection = nullptr;
  const std::lock_guard lock(mutex_);
  gone_.store(true, std::memory_order_release);
  changed_.notify_all();
}

}  // namespace narwhal::worker
