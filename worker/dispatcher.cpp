#include "worker/dispatcher.hpp"

#include <algorithm>
#include <utility>

#include "worker/crash.hpp"
#include "worker/hang.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

constexpr std::chrono::milliseconds relief_every{5};  // how often waiting requests are offered to siblings

}  // namespace

Dispatcher::Dispatcher(Loop& loop)
    : loop_(loop), readable_(loop.connections()), unwatched_(loop.connections()), held_answers_(loop.connections()) {}

void Dispatcher::open(PoisonTable& poison) {
  poison_ = &poison;
  uv_timer_init(loop_.uv(), &relief_);
  relief_.data = this;
}

void Dispatcher::turn(Turn turn) {
  loop_.run_events(turn == Turn::waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  take_posts();
}

void Dispatcher::wake() noexcept { loop_.posts().wake(); }

// ---- which request is next ----

// Workers have died in such requests.
bool Dispatcher::is_poison(const Exchange& exchange) noexcept {
  return exchange.host_status == 0 && poison_->refuses(exchange.head.method.view(), exchange.head.target.view(),
                                                       loop_.turn_time(), first_host(exchange.mount->hosts));
}

void Dispatcher::make_ready(Exchange& exchange) {
  const TaskCounts& tasks = loop_.crew().counts();
  if (poison_->used.load(std::memory_order_relaxed) != 0 && is_poison(exchange)) [[unlikely]] {
    loop_.counters().request_poisoned();
    exchange.is_poison = true;
    exchange.host_status = 503;
  }
  if (exchange.host_status == 0 && !exchange.mount->is_inline() &&
      tasks.waiting() + ready_count_ >= loop_.config().queue_size + tasks.free_handlers()) {
    loop_.counters().request_overloaded();
    exchange.host_status = 503;
  }
  if (!exchange.response.bytes().has_buffer()) exchange.response.bytes().give_buffer(loop_.buffers().take());
  exchange.queued = true;
  ready_.add(exchange);
  ++ready_count_;
}

// Reads sockets until a request is complete.
Exchange* Dispatcher::take_ready() {
  while (true) {
    if (Exchange* const exchange = ready_.take()) {
      --ready_count_;
      exchange->queued = false;
      return exchange;
    }
    Connection* const connection = readable_.take();
    if (connection == nullptr) return nullptr;
    connection->read_now();
  }
}

Exchange* Dispatcher::next_ready() {
  while (Exchange* const exchange = take_ready()) {
    if (exchange->gone()) {
      loop_.exchanges().give_back(*exchange);
    } else if (exchange->host_status != 0) {
      exchange->response.respond_for_host();
      exchange->connection->take_answer(*exchange, Push::now);
    } else {
      exchange->handled = true;
      exchange->times.called = loop_.turn_time();
      return exchange;
    }
  }
  return nullptr;
}

void Dispatcher::put_back(Task& task) {
  Exchange& exchange = exchange_of(task);
  exchange.handled = false;
  exchange.queued = true;
  ready_.put_back(exchange);
  ++ready_count_;
}

unsigned Dispatcher::free_handlers() const noexcept {
  const unsigned free = loop_.crew().counts().free_handlers();
  return free > ready_count_ ? free - ready_count_ : 0;
}

Instant Dispatcher::oldest_waiting() noexcept {
  const Task* const queued = loop_.crew().first_waiting();
  const Exchange* const ready = ready_.first();
  if (queued == nullptr) return ready != nullptr ? ready->started : unset;
  const Instant since = exchange_of(*queued).started;
  return ready != nullptr ? std::min(since, ready->started) : since;
}

// Requests that have waited a while for a handler of this worker go to a sibling that has a free one.
void Dispatcher::relieve() {
  Acceptor& acceptor = loop_.acceptor();
  if (!acceptor.siblings().look(Siblings::Among::generation).any_free) return;
  Task::List waiting = loop_.crew().take_waiting(), staying;
  const Instant now = narwhal::now();
  while (Task* const task = waiting.take()) {
    Exchange& exchange = exchange_of(*task);
    const bool waited = exchange.started + relief_every / 2 <= now;
    if (exchange.gone()) {
      loop_.exchanges().give_back(exchange);
    } else if (!waited || !exchange.connection->give_to_sibling(acceptor.relay())) {
      staying.add(exchange);
    }
  }
  loop_.crew().enqueue_again(staying);
}

// Their handlers will not run: the clients learn that, and may try again.
void Dispatcher::refuse_waiting() noexcept {
  Task::List waiting = loop_.crew().take_waiting();
  while (Task* const task = waiting.take()) {
    Exchange& exchange = exchange_of(*task);
    if (!exchange.gone()) exchange.connection->answer_for(exchange, 503, "the worker ends before it could begin");
    loop_.exchanges().give_back(exchange);
  }
}

// ---- handlers and their results ----

int Dispatcher::handle(Task& task, unsigned member, Place place) noexcept {
  Exchange& exchange = exchange_of(task);
  if (place.has_waited) exchange.times.called = narwhal::now();
  if (exchange.gone()) return NARWHAL_OK;  // while it waited for a handler
  exchange.fill_request();
  loop_.deadlines().enter(member, exchange);
  const int result = exchange.run(member);
  if (!place.with_baton) exchange.times.returned = narwhal::now();
  loop_.deadlines().leave(member);
  return result;
}

void Dispatcher::completed(Task& task, int result) {
  Exchange& exchange = exchange_of(task);
  const Instant now = loop_.refresh_turn_time();
  note_duration(exchange, now);
  exchange.returned = true;
  if (exchange.timed_out) loop_.deadlines().stuck_returned();
  if (result == NARWHAL_DEFERRED && !exchange.ended_in_handler) return defer(exchange);
  exchange.end_use();
  exchange.response.end_for_handler(result);
  if (exchange.connection != nullptr) {
    exchange.connection->take_answer(exchange, Push::soon);
  } else {
    loop_.exchanges().give_back(exchange);
  }
  if (held_answers_.overdue(now)) held_answers_.flush();
}

// Counted until its handler returned, not until the loop saw that. The loop may see it late, because it has to wait for a
// processor.
void Dispatcher::note_duration(Exchange& exchange, Instant now) {
  Mount& mount = *exchange.mount;
  const Instant end = exchange.times.returned != unset ? exchange.times.returned : now;
  const auto took = std::min(exchange.times.longest_stretch(end), Mount::slow_cut);
  mount.usual += (took - mount.usual) / 16;
  held_answers_.handler_returned(mount.usual);
}

void Dispatcher::defer(Exchange& exchange) {
  loop_.exchanges().defer(exchange);
  // Its client may have left before the handler's result said that the exchange is deferred.
  const bool left = exchange.connection != nullptr && exchange.connection->end_seen() && !exchange.answer_ended();
  if (left) {
    exchange.connection->close();
  } else if (exchange.gone()) {
    cancel(exchange);
  }
  take_answer(exchange);
}

// What happens depends on where the exchange is: with the loop, with the crew, or deferred.
void Dispatcher::drop_answer(Exchange& exchange, int status, std::uint64_t bytes_sent) {
  // Its body has broken off: it never was a whole request.
  if (!exchange.handled && !exchange.queued && !exchange.head_taken) return abandon(exchange);
  // Until the handler has returned, its response is another thread's, but for what the loop has taken of it.
  const bool is_ours = exchange.handled && exchange.returned && (!exchange.deferred || exchange.ended);
  const bool has_status = exchange.head_taken || (is_ours && exchange.response.status() != 0);
  if (has_status && (status == Answered::none || status == Answered::client_left)) status = exchange.response.status();
  const std::uint64_t bytes = is_ours ? exchange.response.body_sent() : bytes_sent;
  const Instant now = loop_.turn_time();
  const int counted = status == Answered::client_left ? Answered::none : status;
  loop_.counters().request_answered(counted, route_of(exchange), exchange.started, now);
  AccessLog& log = loop_.logs().access();
  if (log.enabled()) log.add(exchange, {.status = status, .body_bytes = bytes, .own = false}, now);
  abandon(exchange);
}

void Dispatcher::abandon(Exchange& exchange) {
  const bool with_plugin = exchange.handled && (!exchange.returned || (exchange.deferred && !exchange.ended));
  exchange.set_gone();
  if (!with_plugin) {
    if (!exchange.queued) loop_.exchanges().give_back(exchange);  // else next_ready() does
    return;
  }
  if (exchange.deferred) cancel(exchange);
}

// Notifies the plugin, unless it has ended the exchange: it may have freed its own state of it by then.
void Dispatcher::cancel(Exchange& exchange) {
  if (exchange.mount->plugin.cancel == nullptr || exchange.answer_ended()) return;
  const HookCall call("cancel()", *exchange.mount);
  exchange.mount->plugin.cancel(exchange.mount->instance, exchange.handle());
}

// Nor here once the answer has ended, or the client has gone, of which cancel() notifies.
void Dispatcher::notify_of_room(Exchange& exchange) {
  if (!exchange.handover.take_room_event() || exchange.gone() || exchange.answer_ended()) return;
  const HookCall call("writable()", *exchange.mount);
  exchange.mount->plugin.writable(exchange.mount->instance, exchange.handle());
}

void Dispatcher::take_posts() {
  Posts::Queue posts = loop_.posts().take();
  while (Exchange* const exchange = posts.take()) {
    exchange->posted.store(false, std::memory_order_release);
    if (exchange->retired) {
      loop_.exchanges().give_back(*exchange);
      continue;
    }
    if (exchange->connection != nullptr) exchange->connection->resume_body();
    notify_of_room(*exchange);
    take_answer(*exchange);
  }
}

// A deferred or streamed exchange has put something into its hand-over.
void Dispatcher::take_answer(Exchange& exchange) {
  if (exchange.connection != nullptr) return exchange.connection->take_answer(exchange, Push::now);
  exchange.ended = exchange.drop_handover() || exchange.ended;
  if (exchange.ended && exchange.returned) loop_.exchanges().give_back(exchange);
}

// ---- when answers leave ----

void Dispatcher::hold_answer(Connection& connection) noexcept { held_answers_.add(connection, loop_.turn_time()); }

bool Dispatcher::gathers_answers() const noexcept {
  return held_answers_.handlers_are_slow() &&
         (ready_count_ != 0 || !readable_.empty() || loop_.crew().counts().waiting() != 0);
}

void Dispatcher::settle() {
  held_answers_.flush();
  while (Connection* const connection = unwatched_.take()) connection->watch();
  if (loop_.logs().access().enabled()) loop_.logs().access().flush();
  const bool may_relieve = loop_.crew().counts().waiting() != 0 && loop_.acceptor().relay().usable();
  if (may_relieve && !uv_is_active(reinterpret_cast<uv_handle_t*>(&relief_))) {
    uv_timer_start(
        &relief_, [](uv_timer_t* timer) { static_cast<Dispatcher*>(timer->data)->relieve(); }, relief_every.count(), 0);
  }
  loop_.publish_load();
  if (loop_.recycling().watches_turns()) loop_.recycling().after_turn(loop_.now());
}

// ---- the end ----

bool Dispatcher::finished() const { return loop_.may_leave() && ready_.empty(); }

void Dispatcher::prepare_to_leave() {
  if (!loop_.may_leave()) [[likely]]
    return;
  // The last worker of a generation has to empty the relay.
  if (!loop_.stopped() && loop_.acceptor().take_relayed()) return;
  if (ready_.empty() && loop_.crew().counts().all_handled()) return;
  const unsigned stuck = loop_.deadlines().stuck();
  if (loop_.stopped() || (stuck != 0 && loop_.crew().counts().handling() <= stuck)) loop_.leave_at_once();
}

// With one handler thread, the other one runs the loop, and the handlers that are always run there.
Mounts::Handlers Dispatcher::handlers_of(unsigned member) const noexcept {
  return loop_.config().threads == 1 && member != 0 ? Mounts::Handlers::inline_only : Mounts::Handlers::all;
}

bool Dispatcher::thread_started(unsigned member) {
  register_thread(&loop_.slot().running[member]);
  return loop_.mounts().enter_thread(handlers_of(member));
}

void Dispatcher::thread_ends(unsigned member) { loop_.mounts().leave_thread(handlers_of(member)); }

}  // namespace narwhal::worker
