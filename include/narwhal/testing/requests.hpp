// What a ClientRequest becomes: the narwhal_request that the plugin sees; what the loop does with an exchange from
// outside of its handler; and the call of handle() itself.
// Threads    each function says.
// Errors     std::bad_alloc.
#pragma once

#include <narwhal/testing/host.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace narwhal::testing::detail {

// ---- before handle() ----

inline std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

inline bool has_field(const Fields& fields, std::string_view name) {
  return std::any_of(fields.begin(), fields.end(),
                     [name](const auto& field) { return equal_ignoring_case(field.first, name); });
}

inline Fields fields_of(const ClientRequest& asked) {
  Fields fields = asked.headers;
  if (!asked.adds_headers) return fields;
  if (!has_field(fields, "host")) fields.insert(fields.begin(), {"Host", "localhost"});
  const bool is_framed = has_field(fields, "content-length") || has_field(fields, "transfer-encoding");
  const bool has_body = !asked.body.empty() || asked.body_follows || asked.chunked;
  if (!has_body || is_framed) return fields;
  if (asked.chunked || asked.body_follows) {
    fields.emplace_back("Transfer-Encoding", "chunked");
  } else {
    fields.emplace_back("Content-Length", std::to_string(asked.body.size()));
  }
  return fields;
}

// The path and the query of a target: "/a?b", "http://h/a?b", "*".
inline void cut_target(std::string_view target, narwhal_request& request) {
  if (const std::size_t scheme = target.find("://"); scheme != target.npos && target.front() != '/') {
    const std::size_t end = target.find_first_of("/?", scheme + 3);
    request.authority = bytes_of(target.substr(scheme + 3, end == target.npos ? end : end - scheme - 3));
    target.remove_prefix(end == target.npos ? target.size() : end);
  }
  const std::size_t question = target.find('?');
  request.path = bytes_of(target.substr(0, question));
  if (request.path.size == 0) request.path = NARWHAL_LITERAL("/");
  request.query = question == target.npos ? narwhal_bytes{nullptr, 0} : bytes_of(target.substr(question + 1));
}

inline void fill_fields(Exchange& exchange, narwhal_request& request) {
  const Fields fields = fields_of(exchange.asked);
  auto* const list = static_cast<narwhal_field*>(
      exchange.memory.allocate(sizeof(narwhal_field) * std::max<std::size_t>(fields.size(), 1), false));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    list[i] = {exchange.memory.copy(fields[i].first), exchange.memory.copy(fields[i].second)};
    if (equal_ignoring_case(fields[i].first, "host") && request.authority.size == 0) request.authority = list[i].value;
  }
  request.fields = list;
  request.field_count = static_cast<std::uint32_t>(fields.size());
  const bool says_close = lists(list, request.field_count, "connection", "close");
  const bool says_alive = lists(list, request.field_count, "connection", "keep-alive");
  exchange.keep_alive = exchange.is_http_1_0 ? says_alive : !says_close;
}

inline void fill_body(Exchange& exchange, narwhal_request& request) {
  const ClientRequest& asked = exchange.asked;
  const bool streams = exchange.site->streams_body();
  exchange.arrived = asked.body;
  exchange.body_ended = !asked.body_follows;
  if (!streams) exchange.body = exchange.memory.copy(asked.body);
  const std::int64_t declared = content_length_of(request.fields, request.field_count);
  const bool is_open = streams && (asked.chunked || asked.body_follows);
  request.body_size = is_open ? declared : static_cast<std::int64_t>(asked.body.size());
  if (streams || !asked.body_in_file) return;
  exchange.body_file = ::memfd_create("body", MFD_CLOEXEC);
  std::size_t written = 0;
  while (exchange.body_file >= 0 && written < asked.body.size()) {
    const ssize_t count = ::write(exchange.body_file, asked.body.data() + written, asked.body.size() - written);
    if (count <= 0) break;
    written += static_cast<std::size_t>(count);
  }
}

// Fills what request() returns. The mutex need not be held: nobody else knows the exchange yet.
inline void fill_request(Exchange& exchange) {
  const ClientRequest& asked = exchange.asked;
  ExchangeMemory& memory = exchange.memory;
  auto* const request = new (memory.allocate(sizeof(narwhal_request), false)) narwhal_request{};
  exchange.request = request;
  request->struct_size = sizeof *request;
  request->method = memory.copy(asked.method);
  request->target = memory.copy(asked.target);
  cut_target(view_of(request->target), *request);
  request->prefix = memory.copy(exchange.site->settings.prefix);
  request->scheme = memory.copy(asked.scheme);
  request->protocol = memory.copy(asked.protocol);
  request->peer = memory.copy(asked.peer);
  request->peer_port = asked.peer_port;
  request->client = memory.copy(asked.client.empty() ? asked.peer : asked.client);
  request->listener = NARWHAL_LITERAL("127.0.0.1");
  request->listener_port = NARWHAL_LITERAL("8000");
  fill_fields(exchange, *request);
  fill_body(exchange, *request);
  request->started_ns = now_ns();
  request->deadline_ns = asked.deadline_ns;
}

// ---- the loop's part: on the test's thread, or after handle() on the handler's ----

// Notifies the plugin of a deferred exchange whose client is gone.
inline void cancel_if_due(const std::shared_ptr<Exchange>& exchange) {
  Site& site = *exchange->site;
  {
    const Lock lock(exchange->mutex);
    if (!exchange->cancel_due || !exchange->deferred || exchange->ended) return;
    exchange->cancel_due = false;
    if (site.plugin.cancel == nullptr) return;
  }
  const Exchange* const outer = std::exchange(cancelled_by_thread(), exchange.get());
  loop_hook(exchange->site, "cancel() for " + exchange->name,
            [&] { site.plugin.cancel(site.instance, exchange->handle); });
  cancelled_by_thread() = outer;
}

// The client reads again: notifies a plugin that could not write.
inline void read_on(const std::shared_ptr<Exchange>& exchange) {
  Site& site = *exchange->site;
  {
    const Lock lock(exchange->mutex);
    exchange->takes_bytes = true;
    exchange->changed.notify_all();
    const bool is_due = std::exchange(exchange->room_asked, false) && !exchange->gone && !exchange->ended;
    if (!is_due || site.plugin.writable == nullptr) return;
  }
  loop_hook(exchange->site, "writable() for " + exchange->name,
            [&] { site.plugin.writable(site.instance, exchange->handle); });
}

inline void leave(const std::shared_ptr<Exchange>& exchange) {
  {
    Lock lock(exchange->mutex);
    if (exchange->gone || (exchange->ended && exchange->shown)) return;
    exchange->gone = exchange->cancel_due = true;
    exchange->answer.client_left = true;
    exchange->changed.notify_all();
    release_lent(*exchange, lock);
  }
  cancel_if_due(exchange);
}

inline Answer late_answer(const Exchange& exchange) {
  Answer answer;
  answer.interim = exchange.answer.interim;
  answer.status = 504;
  answer.headers = {{"Content-Type", "text/plain"}};
  const std::string text = "the application took too long\n";
  if (!exchange.is_head) answer.body = text;
  const Framing framing{Length::known, static_cast<std::int64_t>(text.size())};
  answer.host_headers = host_fields(exchange, framing, answer.headers, false);
  answer.complete = true;
  return answer;
}

// The deadline has passed: the host answers in the plugin's place, or cuts its response off.
inline void pass_deadline(const std::shared_ptr<Exchange>& exchange) {
  Site& site = *exchange->site;
  bool is_stuck = false;
  {
    const Lock lock(exchange->mutex);
    const bool is_started = exchange->stage != Stage::none && exchange->shown;
    if (exchange->gone || (exchange->ended && exchange->shown) || (exchange->deferred && is_started)) return;
    exchange->host_answer = is_started ? exchange->answer : late_answer(*exchange);
    if (is_started) exchange->host_answer.cut = true;
    exchange->host_answer.timed_out = true;
    exchange->gone = exchange->cancel_due = true;
    is_stuck = exchange->in_handler;
    exchange->changed.notify_all();
  }
  site.log(NARWHAL_LOG_CRITICAL, "WORKER TIMEOUT: " + exchange->name + " is still in " + site.source);
  cancel_if_due(exchange);
  if (!is_stuck || site.plugin.stuck == nullptr) return;
  loop_hook(exchange->site, "stuck() for " + exchange->name,
            [&] { site.plugin.stuck(site.instance, exchange->handle); });
}

// The setting soft_timeout has passed.
inline void pass_soft_timeout(const std::shared_ptr<Exchange>& exchange) {
  Site& site = *exchange->site;
  {
    const Lock lock(exchange->mutex);
    if (!exchange->in_handler || exchange->gone) return;
  }
  site.log(NARWHAL_LOG_WARNING, "Slow request: " + exchange->name + " is still in " + site.source);
  if (site.plugin.slow == nullptr) return;
  loop_hook(exchange->site, "slow() for " + exchange->name, [&] { site.plugin.slow(site.instance, exchange->handle); });
}

// What the loop does from time to time.
inline void look_after(const std::shared_ptr<Exchange>& exchange) {
  bool is_late = false;
  {
    Lock lock(exchange->mutex);
    release_lent(*exchange, lock, Clock::now() - std::chrono::milliseconds(20));
    is_late =
        exchange->late_from != Clock::time_point::max() && !exchange->use_ended && exchange->late_from <= Clock::now();
  }
  if (is_late) pass_deadline(exchange);
  cancel_if_due(exchange);
}

// What the client has got by now. The mutex is held.
inline Answer answer_so_far(const Exchange& exchange) {
  Answer answer;
  if (exchange.host_answer.timed_out) {
    answer = exchange.host_answer;
  } else if (exchange.shown || exchange.returned) {
    answer = exchange.answer;
  } else {
    answer.interim = exchange.answer.interim;
  }
  answer.log_values = exchange.answer.log_values;
  answer.code = exchange.answer.code;
  answer.returned = exchange.returned;
  answer.client_left = exchange.answer.client_left;
  return answer;
}

// ---- handle() ----

inline std::string code_name(int code) {
  static constexpr const char* names[] = {"NARWHAL_REFUSED", "NARWHAL_STATE", "NARWHAL_AGAIN",   "NARWHAL_GONE",
                                          "NARWHAL_ERROR",   "NARWHAL_OK",    "NARWHAL_DEFERRED"};
  if (code == NARWHAL_NO_APP) return "NARWHAL_NO_APP";
  return code < NARWHAL_REFUSED || code > NARWHAL_DEFERRED ? std::to_string(code) : names[code - NARWHAL_REFUSED];
}

// What handle() has returned, and what it has left undone. The mutex is held.
inline void check_return(const Exchange& exchange, int code) {
  const auto returned = [&](const char* why) {
    exchange.site->breach("returned " + code_name(code) + " from handle() for " + exchange.name + ": " + why);
  };
  if (code > NARWHAL_DEFERRED || code < NARWHAL_REFUSED)
    returned("return NARWHAL_OK, NARWHAL_DEFERRED, or NARWHAL_ERROR to NARWHAL_REFUSED");
  if (code != NARWHAL_OK || exchange.ended || exchange.gone) return;
  returned(exchange.stage == Stage::none
               ? "there is no answer: call respond(), or start() and finish(), or return NARWHAL_DEFERRED"
               : "the response was started and not finished, so that it is cut off: call finish()");
}

// False: the client has left while the request waited for a handler, so that nobody handles it.
inline bool enter_handler(Exchange& exchange) {
  const Lock lock(exchange.mutex);
  if (exchange.gone) {
    end_use(exchange);
    exchange.ended = exchange.returned = true;
    exchange.changed.notify_all();
    return false;
  }
  exchange.in_handler = true;
  exchange.handler = std::this_thread::get_id();
  exchange.changed.notify_all();
  const std::chrono::milliseconds timeout = exchange.site->settings.timeout;
  if (timeout.count() == 0) return true;
  exchange.late_from = Clock::now() + timeout;
  if (exchange.request->deadline_ns == 0)
    exchange.request->deadline_ns = now_ns() + std::chrono::nanoseconds(timeout).count();
  return true;
}

// [handler] Runs the plugin's handle(), and does what the server does when it has returned.
inline void run_handler(const std::shared_ptr<Exchange>& exchange) {
  Site& site = *exchange->site;
  if (!enter_handler(*exchange)) return;
  const int code = guarded(exchange->site, "handle() for " + exchange->name, NARWHAL_ERROR,
                           [&] { return site.plugin.handle(site.instance, exchange->handle); });
  {
    Lock lock(exchange->mutex);
    exchange->answer.code = code;
    check_return(*exchange, code);
    exchange->deferred = code == NARWHAL_DEFERRED && !exchange->ended_in_handler;
    if (!exchange->deferred) {
      end_for_handler(*exchange, lock, code);
      release_lent(*exchange, lock);
      end_use(*exchange);
      exchange->ended = exchange->shown = true;
    }
    exchange->in_handler = false;
    exchange->returned = true;
    exchange->changed.notify_all();
  }
  if (!exchange->deferred) keep_ended(exchange);
  cancel_if_due(exchange);
}

}  // namespace narwhal::testing::detail
