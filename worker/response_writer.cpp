// A response as a whole: its head, and what is said with one call.
#include "worker/response_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "protocol/http1_trailers.hpp"
#include "worker/loop.hpp"
#include "worker/trailing_slash.hpp"

namespace narwhal::worker {

namespace {

using Length = protocol::ResponseHead::Length;

const narwhal_field plain_text = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};

// Every plugin of ABI 1.0 has the members before this one.
constexpr std::size_t response_bytes_min = offsetof(narwhal_response, release);

narwhal_response plain_response(int status, std::string_view body) noexcept {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.fields = &plain_text;
  response.field_count = 1;
  response.body = {body.data(), body.size()};
  return response;
}

// A status, name or value of the application's that may not go on the wire: its author has to find it.
int reject(const protocol::Head& request, const protocol::Fault& fault) {
  constexpr std::size_t name_bytes_max = 100;
  const std::string_view name = fault.field != nullptr ? fault.field->name.view() : std::string_view();
  log::error("{} {}: refused in an answer: {}{}{}{}", request.method.view(), request.target.view(), fault.text,
             fault.field != nullptr ? ": '" : "", name.substr(0, name_bytes_max), fault.field != nullptr ? "'" : "");
  return NARWHAL_REFUSED;
}

bool takes_trailers(const protocol::Head& request) noexcept {
  return protocol::takes_trailers(request.fields.data(), request.fields.size());
}

struct Framing {
  Length length = Length::known;
  std::uint64_t content_length = 0;
};

// How the client learns where the body ends, for a response that does not simply have a body of a known length. Nothing:
// Content-Length is not a number.
std::optional<Framing> choose_framing(const protocol::Head& request, const narwhal_response& response,
                                      std::int64_t body_size, bool bodyless, Wire wire) {
  if (response.status == 204) return Framing{Length::absent};
  if (response.status == 205) return Framing{};  // RFC 9110 15.3.6
  // In a 304 and to HEAD, Content-Length is what GET would have got (RFC 9110 8.6): an empty body does not say.
  if (response.status == 304 || (bodyless && body_size == 0)) body_size = -1;
  if (body_size < 0) body_size = protocol::content_length_of(fields_of(response.fields), response.field_count);
  if (body_size == protocol::content_length_bad) return std::nullopt;
  if (body_size >= 0) return Framing{Length::known, static_cast<std::uint64_t>(body_size)};
  if (bodyless) return Framing{Length::absent};
  return Framing{wire == Wire::http && request.minor == 1 ? Length::chunked : Length::until_close};
}

}  // namespace

Handover::Reached ResponseWriter::reached() const noexcept {
  switch (state_.stage) {
    case Stage::none: return Handover::Reached::interim;
    case Stage::started: return Handover::Reached::head;
    case Stage::finished: return Handover::Reached::end;
  }
  return Handover::Reached::end;
}

// NARWHAL_STATE has several meanings; the log has the one.
int ResponseWriter::refuse_call(const char* call, std::string_view why) const noexcept {
  static LogLimit limit;
  limit.error("{} {}: {}() is refused and does nothing: {}", exchange_.head.method.view(), exchange_.head.target.view(),
              call, why);
  return NARWHAL_STATE;
}

const char* ResponseWriter::why_not_now() const noexcept {
  switch (state_.stage) {
    case Stage::none: return "start() has not been called";
    case Stage::started: return "the head of the response has been given already";
    case Stage::finished: return "the response has ended already";
  }
  return "";
}

// Checks and writes the head; body_size < 0: not known.
int ResponseWriter::begin(const char* call, const narwhal_response& response, std::int64_t body_size) {
  if (state_.stage != Stage::none) return refuse_call(call, why_not_now());
  const protocol::Head& request = exchange_.head;
  if (response.struct_size < response_bytes_min) {
    log::error("{} {}: {}() with a narwhal_response whose struct_size is {}: set it to sizeof(narwhal_response)",
               request.method.view(), request.target.view(), call, response.struct_size);
    return NARWHAL_REFUSED;
  }
  const int status = response.status;
  const Field* const fields = fields_of(response.fields);
  const std::uint32_t count = response.field_count;
  if (const protocol::Fault fault = protocol::check_response(status, fields, count)) return reject(request, fault);

  protocol::ResponseHead head;
  if (NARWHAL_HAS(&response, narwhal_response, reason) && response.reason.size != 0) {
    head.reason = {response.reason.data, response.reason.size};
    if (const protocol::Fault fault = protocol::check_reason(head.reason)) return reject(request, fault);
  }
  head.status = status;
  head.fields = fields;
  head.field_count = count;
  head.minor = request.minor;
  const WireId wire = exchange_.wire();
  if (wire.is_http()) {  // else the web server in front writes them
    head.date = exchange_.loop().date();
    head.server = exchange_.loop().config().server_header;
  }
  state_.bodyless = request.is_head || status == 204 || status == 205 || status == 304;
  if (body_size >= 0 && !state_.bodyless) [[likely]] {
    state_.framing = Length::known;
    state_.left = static_cast<std::uint64_t>(body_size);
  } else if (const auto framing = choose_framing(request, response, body_size, state_.bodyless, exchange_.peer.wire)) {
    state_.framing = framing->length;
    state_.left = framing->content_length;
  } else {
    return reject(request, {"Content-Length is not a number, or there are two"});
  }
  head.content_length = state_.left;
  head.length = state_.framing;
  head.trailers = head.length == Length::chunked && takes_trailers(request);
  const bool wants_to_close = exchange_.loop().retiring() || exchange_.loop().acceptor().is_withheld();
  const bool ends_connection = head.length == Length::until_close && !wire.is_fastcgi();
  if (ends_connection || wants_to_close) exchange_.keep_alive = false;
  head.keep_alive = exchange_.keep_alive;

  char* const out = bytes_.begin_head(head_bound(wire, head));
  const EncodedHead encoded = encode_head(wire, head, out);
  bytes_.end_head(encoded.size, encoded.begin);
  state_.status = status;
  state_.stage = Stage::started;
  return NARWHAL_OK;
}

// Its own bytes, not those in the buffer: the final response still goes there.
int ResponseWriter::inform(int status, const narwhal_field* fields, std::uint32_t count) {
  if (exchange_.gone()) return NARWHAL_GONE;
  if (state_.stage != Stage::none) return refuse_call("inform", why_not_now());
  if (const protocol::Fault fault = protocol::check_interim(status, fields_of(fields), count))
    return reject(exchange_.head, fault);
  // RFC 9110 15.2: a client of HTTP/1.0 would take this for the response; other wires have no such thing.
  if (exchange_.head.minor == 0 || !exchange_.wire().is_http()) return NARWHAL_OK;
  if (!exchange_.handover.has_room() && !exchange_.finds_room()) return NARWHAL_AGAIN;
  protocol::ResponseHead interim;
  interim.status = status;
  interim.fields = fields_of(fields);
  interim.field_count = count;
  interim.length = Length::absent;
  OwnedMemory memory(protocol::response_head_bound(interim));
  const std::size_t size = protocol::encode_response_head(interim, memory.data());
  bytes_.append_segment(std::move(memory).segment(size));
  exchange_.hand_over(Push::now, reached());
  return NARWHAL_OK;
}

int ResponseWriter::trailers(const narwhal_field* fields, std::uint32_t count) {
  if (exchange_.gone()) return NARWHAL_GONE;
  if (state_.stage != Stage::started) return refuse_call("trailers", why_not_now());
  if (const protocol::Fault fault = protocol::check_trailers(fields_of(fields), count))
    return reject(exchange_.head, fault);
  if (state_.framing != Length::chunked || !takes_trailers(exchange_.head)) return NARWHAL_OK;
  const std::string_view before = state_.trailers;
  const std::size_t bound = before.size() + protocol::trailers_bound(fields_of(fields), count);
  char* const lines = static_cast<char*>(exchange_.arena.allocate(bound));
  if (lines == nullptr) throw std::bad_alloc();
  char* const end = lines + before.copy(lines, before.size());
  state_.trailers = {lines, before.size() + protocol::encode_trailers(fields_of(fields), count, end)};
  return NARWHAL_OK;
}

int ResponseWriter::respond(const narwhal_response& response) {
  const bool lends = NARWHAL_HAS(&response, narwhal_response, release_arg);
  LentBytes lent(lends ? response.release : nullptr, lends ? response.release_arg : nullptr);
  // Nobody will read the rest of a streamed body, so the connection ends after the response: RFC 9112 9.6 wants the
  // client to know.
  const Mount* const mount = exchange_.mount;
  if (mount != nullptr && mount->streams_body() && !exchange_.inbox.ended()) exchange_.keep_alive = false;
  try {
    return respond_with(response, lent);
  } catch (const std::bad_alloc&) {
    return respond_without_memory();
  }
}

int ResponseWriter::respond_with(const narwhal_response& response, LentBytes& lent) {
  const std::string_view body(response.body.data, response.body.size);
  const int result =
      exchange_.gone() ? NARWHAL_GONE : begin("respond", response, static_cast<std::int64_t>(body.size()));
  if (result == NARWHAL_OK) {
    state_.left = 0;
    if (!state_.bodyless) state_.body_sent = body.size();
    if (exchange_.wire().is_fastcgi()) [[unlikely]] {
      if (!state_.bodyless) append_records(body, lent, Keep::copy);
      append_fastcgi_end();
    } else if (!state_.bodyless) {
      append_whole(body, lent);
    }
    state_.stage = Stage::finished;
  }
  if (result == NARWHAL_OK || result == NARWHAL_GONE) exchange_.end_response();
  return result;
}

// Nothing of the response has left: another takes its place, which fits where its head was to be. When there is not even
// room for that, the client sees the connection end.
int ResponseWriter::respond_without_memory() noexcept {
  log::error("{} {}: out of memory: there is no room for the response", exchange_.head.method.view(),
             exchange_.head.target.view());
  bytes_.discard();
  state_.stage = Stage::none;
  state_.body_sent = 0;
  try {
    LentBytes nothing;
    respond_with(plain_response(500, "Internal Server Error\n"), nothing);
  } catch (const std::bad_alloc&) {
    state_.status = 500;
    state_.cut = true;
    state_.stage = Stage::finished;
    exchange_.end_response();
  }
  return NARWHAL_ERROR;
}

void ResponseWriter::append_whole(std::string_view body, LentBytes& lent) {
  if (body.size() <= bytes_.room() && body.size() <= BufferPool::usual_capacity) return bytes_.append(body);
  bytes_.append_segment(lent ? lent.segment(body) : copy_of(body));
}

int ResponseWriter::fail(int status, std::string_view reason) {
  if (exchange_.gone()) {
    exchange_.end_response();
    return NARWHAL_GONE;
  }
  if (state_.stage == Stage::finished) return refuse_call("fail", why_not_now());
  log::error("{} {}: {}", exchange_.head.method.view(), exchange_.head.target.view(), reason);
  if (state_.stage == Stage::started) {
    state_.stage = Stage::finished;
    state_.cut = true;
    show_cut();
    exchange_.end_response();
    return NARWHAL_OK;
  }
  if (status < 400 || status > 599) status = 500;
  char text[64];
  const std::string_view phrase = protocol::reason_phrase(status).substr(0, sizeof text - 1);
  *std::copy(phrase.begin(), phrase.end(), text) = '\n';
  return respond(plain_response(status, {text, phrase.size() + 1}));
}

void ResponseWriter::end_for_handler(int result) noexcept {
  if (exchange_.ended_in_handler || state_.stage == Stage::finished || exchange_.gone()) return;
  const Exchange::AsHandler as_handler(exchange_);
  const bool is_code = result >= NARWHAL_REFUSED && result <= NARWHAL_DEFERRED;
  char unknown[96];
  if (!is_code) {
    const auto text = fmt::format_to_n(unknown, sizeof unknown,
                                       "the handler returned {}, which is not a code of narwhal/plugin.h", result);
    return void(fail(500, {unknown, text.size}));
  }
  if (state_.stage == Stage::none) {
    fail(500, result == NARWHAL_OK ? "the handler returned without an answer" : "the handler failed");
  } else {
    fail(500, result == NARWHAL_OK
                  ? "the handler returned before it had finished the response, which is cut off: call finish()"
                  : "the handler failed after the head was sent: the response is cut off");
  }
}

void ResponseWriter::respond_for_host() noexcept {
  const int status = exchange_.host_status;
  const std::string_view text = status == 404         ? "Not Found\n"
                                : status == 308       ? "Permanent Redirect\n"
                                : exchange_.is_poison ? "Service Unavailable: this request has ended workers\n"
                                                      : "Service Unavailable: too many requests are waiting\n";
  char later[24];
  const auto seconds = exchange_.is_poison ? exchange_.loop().config().poison_window.count() : 1;
  const auto later_size = static_cast<std::size_t>(std::to_chars(later, later + sizeof later, seconds).ptr - later);
  narwhal_field fields[] = {plain_text, {NARWHAL_LITERAL("Retry-After"), {later, later_size}}};
  narwhal_response response = plain_response(status, text);
  const Exchange::AsHandler as_handler(exchange_);
  if (status == 308) {
    const std::string_view location = location_with_slash(exchange_);
    if (location.empty()) response = plain_response(500, "Internal Server Error\n");  // out of memory
    fields[1] = {NARWHAL_LITERAL("Location"), {location.data(), location.size()}};
  }
  response.fields = fields;
  response.field_count = response.status == 503 || response.status == 308 ? 2 : 1;
  respond(response);
  exchange_.returned = true;
}

void ResponseWriter::reset() noexcept {
  state_ = {};
  bytes_.reset();
}

}  // namespace narwhal::worker
