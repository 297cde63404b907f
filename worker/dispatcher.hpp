// Dispatcher: decides which request is next, what becomes of it, and when answers leave. It is the crew's work: CrewWork.
//   socket readable -> add_readable() -> next_ready() reads it -> make_ready() -> the crew runs its handler -> completed()
// Overload   when the queue is full, a request is answered 503, unless its plugin is inline. One that has waited for a
//            handler is offered to a sibling that has a free one (relay.hpp).
// Ownership  none: exchanges and connections belong to their pools; the lists here link them.
// Errors     none of its own: a request that fails is answered with an error.
// Threads    the holder of the baton, except where CrewWork says otherwise.
#pragma once

#include <uv.h>

#include "worker/connection_list.hpp"
#include "worker/crew_work.hpp"
#include "worker/held_answers.hpp"
#include "worker/list.hpp"
#include "worker/mounts.hpp"

namespace narwhal::worker {

class Loop;

class Dispatcher final : public CrewWork {
 public:
  explicit Dispatcher(Loop& loop);
  void open(PoisonTable& poison);  // after the uv loop was initialised

  // ---- for connections ----
  void add_readable(Connection& connection) noexcept { readable_.add(connection); }    // it is read when its turn comes
  void add_unwatched(Connection& connection) noexcept { unwatched_.add(connection); }  // to be watched by the kernel
  void hold_answer(Connection& connection) noexcept;
  // Requests wait, and handlers are slow: answers are held for a moment, to leave together.
  bool gathers_answers() const noexcept;
  // Its request is complete: a handler gets it, or the host answers.
  void make_ready(Exchange& exchange);
  // The client is gone, or was answered by the host: the handler's answer is not needed any more.
  void abandon(Exchange& exchange);
  // The same with a line in the access log. `status` is for a client that has got none. `bytes_sent`: of its answer, as far as
  // they were counted.
  void drop_answer(Exchange& exchange, int status, std::uint64_t bytes_sent);
  // The worker ends: requests that no handler has begun are answered 503.
  void refuse_waiting() noexcept;

  // Handlers that are free, and will still be free when every ready request has one.
  unsigned free_handlers() const noexcept;
  // When the request came that waits longest for a handler; unset if none waits.
  Instant oldest_waiting() noexcept;

  // ---- the crew's work ----
  void turn(Turn turn) override;
  Exchange* next_ready() override;
  void put_back(Task& task) override;
  void settle() override;
  void prepare_to_leave() override;
  bool finished() const override;
  void completed(Task& task, int result) override;
  int handle(Task& task, unsigned member, Place place) noexcept override;
  bool is_inline(const Task& task) const override { return exchange_of(task).mount->is_inline(); }
  bool expected_slow(const Task& task) const override { return exchange_of(task).mount->usual > Mount::slow; }
  void wake() noexcept override;
  bool thread_started(unsigned member) override;
  void thread_ends(unsigned member) override;

 private:
  bool is_poison(const Exchange& exchange) noexcept;
  Exchange* take_ready();
  void take_posts();
  void take_answer(Exchange& exchange);
  void note_duration(Exchange& exchange, Instant now);
  void defer(Exchange& exchange);
  void cancel(Exchange& exchange);
  void notify_of_room(Exchange& exchange);
  void relieve();
  Mounts::Handlers handlers_of(unsigned member) const noexcept;

  Loop& loop_;
  PoisonTable* poison_ = nullptr;  // of the scoreboard
  List<Exchange, &Exchange::next> ready_;
  unsigned ready_count_ = 0;
  ConnectionList<&Connection::next_readable, &Connection::is_readable> readable_;
  ConnectionList<&Connection::next_unwatched, &Connection::is_unwatched> unwatched_;
  HeldAnswers held_answers_;
  uv_timer_t relief_{};  // runs while requests wait and a sibling may take them
};

}  // namespace narwhal::worker
