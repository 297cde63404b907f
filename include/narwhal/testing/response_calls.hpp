// The calls of a plugin that are about its response, with the return codes of the server and, where plugin.h forbids the
// call, a breach.
// Threads    `lock` holds the exchange's mutex; a call that waits opens it meanwhile.
// Errors     the codes of plugin.h; std::bad_alloc.
#pragma once

#include <narwhal/testing/exchange.hpp>

#include <ctime>

namespace narwhal::testing::detail {

using Length = Framing::Length;

// ---- what is given ----

// Bytes of a request that has ended must not come back.
inline void check_bytes(const Exchange& exchange, const char* call, narwhal_bytes bytes) {
  if (bytes.size == 0) return;
  const std::lock_guard lock(exchange.site->mutex);
  for (const std::shared_ptr<Exchange>& other : exchange.site->ended) {
    if (!other->memory.owns(bytes.data)) continue;
    exchange.breach(call, "with bytes of " + other->name + ", a request that has ended: copy what is needed longer");
  }
}

inline void check_given_fields(const Exchange& exchange, const char* call, const narwhal_field* fields,
                               std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    check_bytes(exchange, call, fields[i].name);
    check_bytes(exchange, call, fields[i].value);
  }
}

inline int refuse(const Exchange& exchange, const char* call, const Fault& fault) {
  constexpr std::size_t name_shown = 100;
  std::string why = fault.text;
  if (fault.field != nullptr) why += ": '" + std::string(view_of(fault.field->name).substr(0, name_shown)) + "'";
  exchange.log(NARWHAL_LOG_ERROR, "refused in an answer: " + why);
  exchange.breach(call, "it may not go on the wire: " + why);
  return NARWHAL_REFUSED;
}

// A call at the wrong time.
inline int misplaced(const Exchange& exchange, const char* call, const std::string& why) {
  exchange.log(NARWHAL_LOG_ERROR, std::string(call) + "() is refused and does nothing: " + why);
  exchange.breach(call, why);
  return NARWHAL_STATE;
}
inline const char* why_not_now(const Exchange& exchange) {
  if (exchange.stage == Stage::none) return "start() has not been called";
  return exchange.stage == Stage::started ? "the head of the response has been given already"
                                          : "the response has ended already";
}

inline void add_fields(Fields& fields, const narwhal_field* from, std::uint32_t count, int status, bool announces) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view name = view_of(from[i].name);
    const bool stays =
        (announces && equal_ignoring_case(name, "trailer")) || (status == 426 && equal_ignoring_case(name, "upgrade"));
    if (is_host_field(name) && !stays) continue;
    fields.emplace_back(name, view_of(from[i].value));
  }
}

// ---- the head ----

inline std::string date_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char rest[32];
  std::strftime(rest, sizeof rest, " %Y %H:%M:%S GMT", &parts);
  char day[8];
  std::strftime(day, sizeof day, ", %d ", &parts);
  return std::string(days[parts.tm_wday]) + day + months[parts.tm_mon] + rest;
}

// Those that the host writes itself, in their order.
inline Fields host_fields(const Exchange& exchange, const Framing& framing, const Fields& plugins, bool keep_alive) {
  const auto has = [&](std::string_view wanted) {
    return std::any_of(plugins.begin(), plugins.end(),
                       [&](const auto& field) { return equal_ignoring_case(field.first, wanted); });
  };
  Fields fields = {{"Date", date_now()}};
  if (!has("server")) fields.emplace_back("Server", "narwhal");
  if (framing.length == Length::known) fields.emplace_back("Content-Length", std::to_string(framing.content_length));
  if (framing.length == Length::chunked) fields.emplace_back("Transfer-Encoding", "chunked");
  std::string connection;
  if (keep_alive == exchange.is_http_1_0) connection = keep_alive ? "keep-alive" : "close";
  if (has("upgrade")) connection += connection.empty() ? "upgrade" : ", upgrade";
  if (!connection.empty()) fields.emplace_back("Connection", connection);
  return fields;
}

inline bool takes_trailers(const Exchange& exchange) {
  return lists(exchange.request->fields, exchange.request->field_count, "te", "trailers");
}

inline bool has_struct_size(const Exchange& exchange, const char* call, const narwhal_response& response) {
  constexpr std::size_t least = offsetof(narwhal_response, release), most = 4096;
  const std::string why = "the struct_size of its narwhal_response is " + std::to_string(response.struct_size) +
                          ": set it to sizeof(narwhal_response)";
  if (response.struct_size < least) exchange.log(NARWHAL_LOG_ERROR, std::string(call) + "(): " + why);
  if (response.struct_size < least || response.struct_size > most) exchange.breach(call, why);
  return response.struct_size >= least;
}

// Checks and takes the head. `size`: of the body; below 0: not known.
inline int begin(Exchange& exchange, const char* call, const narwhal_response& response, std::int64_t size) {
  if (exchange.stage != Stage::none) return misplaced(exchange, call, why_not_now(exchange));
  if (!has_struct_size(exchange, call, response)) return NARWHAL_REFUSED;
  check_given_fields(exchange, call, response.fields, response.field_count);
  const int status = response.status;
  if (const Fault fault = check_response(status, response.fields, response.field_count))
    return refuse(exchange, call, fault);
  std::string_view phrase;
  if (NARWHAL_HAS(&response, narwhal_response, reason)) phrase = view_of(response.reason);
  if (!is_field_value(phrase)) return refuse(exchange, call, {"control byte in the reason phrase"});

  const bool bodyless = exchange.is_head || status == 204 || status == 205 || status == 304;
  const Framing framing = framing_of(response, size, bodyless, exchange.is_http_1_0);
  if (framing.length == Length::bad)
    return refuse(exchange, call, {"Content-Length is not a number, or there are two"});
  exchange.bodyless = bodyless;
  exchange.framing = framing;
  exchange.left = static_cast<std::uint64_t>(framing.content_length);
  if (framing.length == Length::until_close || exchange.site->draining) exchange.keep_alive = false;
  Answer& answer = exchange.answer;
  answer.status = status;
  answer.phrase = phrase;
  const bool announces = framing.length == Length::chunked && takes_trailers(exchange);
  add_fields(answer.headers, response.fields, response.field_count, status, announces);
  answer.host_headers = host_fields(exchange, framing, answer.headers, exchange.keep_alive);
  exchange.stage = Stage::started;
  return NARWHAL_OK;
}

// ---- a whole response ----

inline narwhal_response plain_response(int status, std::string_view body) {
  static const narwhal_field type = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.fields = &type;
  response.field_count = 1;
  response.body = bytes_of(body);
  return response;
}

inline int respond_with(Exchange& exchange, Lock& lock, const char* call, const narwhal_response& response) {
  int result = NARWHAL_GONE;
  if (!exchange.gone) {
    result = begin(exchange, call, response, static_cast<std::int64_t>(response.body.size));
    if (result == NARWHAL_OK) {
      if (!exchange.bodyless) exchange.answer.body = view_of(response.body);
      exchange.left = 0;
      exchange.stage = Stage::finished;
      exchange.answer.complete = true;
    }
  }
  if (result == NARWHAL_OK || result == NARWHAL_GONE) end_answer(exchange, lock);
  return result;
}

// The client cannot take the rest of a streamed body for its next request, so the connection ends.
inline void close_after_unread_body(Exchange& exchange) {
  if (exchange.site->streams_body() && !(exchange.body_ended && unread(exchange).empty())) exchange.keep_alive = false;
}

inline int respond(Exchange& exchange, Lock& lock, const narwhal_response& response) {
  check_bytes(exchange, "respond", response.body);
  exchange.body_at = response.body.data;
  close_after_unread_body(exchange);
  const bool lends = NARWHAL_HAS(&response, narwhal_response, release_arg) && response.release != nullptr;
  int result;
  if (!exchange.gone && exchange.stage == Stage::none && exchange.memory_is_out()) {
    exchange.log(NARWHAL_LOG_ERROR, "out of memory: there is no room for the response");
    respond_with(exchange, lock, "respond", plain_response(500, "Internal Server Error\n"));
    result = NARWHAL_ERROR;
  } else {
    // Kept first: a deferred exchange ends in here.
    if (lends) {
      exchange.lent.push_back({response.body, std::string(view_of(response.body)), response.release,
                               response.release_arg, "respond", Clock::now()});
    }
    result = respond_with(exchange, lock, "respond", response);
    if (result != NARWHAL_OK || exchange.bodyless) release_lent(exchange, lock);
    return result;
  }
  if (lends) {
    lock.unlock();
    guarded_hook(exchange.site, "the release() of respond()", [&] { response.release(response.release_arg); });
    lock.lock();
  }
  return result;
}

inline int fail_with(Exchange& exchange, Lock& lock, int status, std::string_view reason) {
  if (exchange.gone) {
    end_answer(exchange, lock);
    return NARWHAL_GONE;
  }
  if (exchange.stage == Stage::finished) return misplaced(exchange, "fail", why_not_now(exchange));
  exchange.log(NARWHAL_LOG_ERROR, std::string(reason));
  exchange.answer.reason = reason;
  if (exchange.stage == Stage::started) {
    exchange.stage = Stage::finished;
    exchange.answer.cut = true;
    end_answer(exchange, lock);
    return NARWHAL_OK;
  }
  close_after_unread_body(exchange);
  if (status < 400 || status > 599) status = 500;
  return respond_with(exchange, lock, "fail", plain_response(status, std::string(error_phrase(status)) + "\n"));
}

inline int fail(Exchange& exchange, Lock& lock, int status, std::string_view reason) {
  if (!exchange.gone && exchange.stage == Stage::none && (status < 400 || status > 599)) {
    exchange.breach("fail", "status " + std::to_string(status) + " is not between 400 and 599: the client gets 500");
  }
  return fail_with(exchange, lock, status, reason);
}

// ---- beside the response ----

// A write need not wait for the client.
inline bool has_room(const Exchange& exchange) {
  if (exchange.writes > exchange.asked.slow_after) return false;
  return exchange.takes_bytes ||
         exchange.answer.body.size() - exchange.bytes_taken < exchange.site->settings.response_buffer;
}

inline int inform(Exchange& exchange, int status, const narwhal_field* fields, std::uint32_t count) {
  if (exchange.gone) return NARWHAL_GONE;
  if (exchange.stage != Stage::none) return misplaced(exchange, "inform", why_not_now(exchange));
  check_given_fields(exchange, "inform", fields, count);
  if (const Fault fault = check_interim(status, fields, count)) return refuse(exchange, "inform", fault);
  if (exchange.is_http_1_0) return NARWHAL_OK;
  if (!has_room(exchange)) {
    exchange.room_asked = true;
    return NARWHAL_AGAIN;
  }
  if (exchange.memory_is_out()) return NARWHAL_ERROR;
  Fields taken;
  add_fields(taken, fields, count, status, false);
  exchange.answer.interim.emplace_back(status, std::move(taken));
  exchange.changed.notify_all();
  return NARWHAL_OK;
}

inline int trailers(Exchange& exchange, const narwhal_field* fields, std::uint32_t count) {
  if (exchange.gone) return NARWHAL_GONE;
  if (exchange.stage != Stage::started) return misplaced(exchange, "trailers", why_not_now(exchange));
  check_given_fields(exchange, "trailers", fields, count);
  if (const Fault fault = check_trailers(fields, count)) return refuse(exchange, "trailers", fault);
  if (exchange.framing.length != Length::chunked || !takes_trailers(exchange)) return NARWHAL_OK;
  if (exchange.memory_is_out()) return NARWHAL_ERROR;
  for (std::uint32_t i = 0; i < count; ++i) {
    exchange.answer.trailers.emplace_back(view_of(fields[i].name), view_of(fields[i].value));
  }
  return NARWHAL_OK;
}

inline void flush(Exchange& exchange) {
  if (!exchange.on_handler_thread()) {
    exchange.breach("flush", "outside of handle(): only the thread that runs handle() may");
    return;
  }
  exchange.shown = true;
  exchange.flushed_after_end = exchange.ended;
  exchange.changed.notify_all();
}

inline int log_value(Exchange& exchange, std::string_view name, std::string_view value) {
  if (exchange.flushed_after_end)
    exchange.breach("log_value", "after the flush() that followed the end: call it before");
  if (exchange.memory_is_out()) return NARWHAL_ERROR;
  exchange.answer.log_values.emplace_back(name, value);
  return NARWHAL_OK;
}

// The handler has returned `result` and not ended its response.
inline void end_for_handler(Exchange& exchange, Lock& lock, int result) {
  if (exchange.stage == Stage::finished || exchange.ended || exchange.gone) return;
  const bool is_none = exchange.stage == Stage::none;
  const char* reason = "the handler failed after the head was sent: the response is cut off";
  if (result == NARWHAL_OK) {
    reason = is_none ? "the handler returned without an answer"
                     : "the handler returned before it had finished the response, which is cut off: call finish()";
  } else if (is_none) {
    reason = "the handler failed";
  }
  fail_with(exchange, lock, 500, reason);
}

}  // namespace narwhal::testing::detail
