#include "worker/request_reader.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "protocol/scgi_head.hpp"
#include "protocol/uwsgi_head.hpp"
#include "worker/loop.hpp"
#include "worker/trailing_slash.hpp"

namespace narwhal::worker {

namespace {

constexpr const char* body_too_large = "the request's body is larger than limit_request_body";
constexpr const char* body_too_slow = "the request's body comes at less than min_rate";
constexpr const char* no_room_for_body = "there is no room to store the request's body";

// Of a status that the host answers with before it has read the body.
protocol::Refusal refusal_of(std::uint16_t host_status) noexcept {
  if (host_status == 404) return {404, "no application is mounted there"};
  return {host_status, "the path of this application ends in a slash"};
}

protocol::HeadLimits limits_of(const Config& config) {
  return {config.limit_request_line, config.limit_request_fields, config.limit_request_field_size};
}

// Of all connections together: what a web server may learn by GET_VALUES.
protocol::fastcgi::Capacity capacity_of(const Config& config) {
  const unsigned connections = config.workers * config.worker_connections;
  return {.connections_max = connections, .requests_max = connections};
}

// After these, bytes that were read with a body and are not of it stay.
bool leaves_rest(RequestReader::Status status) noexcept {
  return status == RequestReader::Status::complete || status == RequestReader::Status::aborted;
}

bool streams(const Exchange& exchange) noexcept { return exchange.mount != nullptr && exchange.mount->streams_body(); }

RequestReader::Step refuse(const protocol::Refusal& why) noexcept { return {RequestReader::Status::refused, why}; }

RequestReader::Step wait_for_body(Exchange& exchange, const Config& config) {
  using Status = RequestReader::Status;
  const bool is_full = streams(exchange) && exchange.inbox.stop_when_full(config.body_buffer_size);
  return {is_full ? Status::body_full : Status::need_body};
}

bool says_scheme(const protocol::CgiRequest& said) noexcept {
  return said.variable("HTTPS").size != 0 || said.variable("REQUEST_SCHEME").size != 0 ||
         said.variable("UWSGI_SCHEME").size != 0;
}

// What a web server says of its client counts as what a PROXY header says: the client is the peer. So fields that name a
// client before that count where the settings trust this one. The scheme is the web server's to say.
protocol::Refusal judge_gateway(Loop& loop, Exchange& exchange) {
  if (!exchange.peer.may_speak) return {403, "this address may not speak to this listener: see allow_from"};
  protocol::Head& head = exchange.head;
  const protocol::CgiRequest& said = exchange.gateway();
  if (said.names_remote) {
    exchange.peer.become(said.remote, said.remote_port);
  } else if (const Bytes address = said.variable("REMOTE_ADDR");
             address.size != 0 && !address.view().starts_with("unix:")) {
    exchange.peer.trust = Peer::Trust::no;  // a client, whatever its address is
  }
  // The web server has mounted this server under a prefix; the routes are for what follows.
  exchange.mount = loop.mounts().route(head.authority, head.path.view().substr(said.prefix_size));
  if (exchange.mount != nullptr) exchange.join_prefix(said.prefix);
  Bytes scheme = std::exchange(head.scheme, Bytes{});
  if (!head.target.view().starts_with('/') && !says_scheme(said)) scheme = {};  // it is what the client claims
  if (loop.proxy_policy().applies_to(head)) {
    if (const auto refusal = loop.proxy_policy().apply(head, exchange.peer, exchange.client)) return refusal;
  }
  if (head.scheme.data == nullptr) head.scheme = scheme;
  return {};
}

}  // namespace

RequestReader::RequestReader(Loop& loop, Wire wire) : loop_(loop), wire_(wire) {
  if (wire == Wire::fastcgi)
    records_ = std::make_unique<protocol::fastcgi::Reader>(limits_of(loop.config()), capacity_of(loop.config()));
}

// ---- bytes of the socket ----

RequestReader::Room RequestReader::room() {
  if (in_body_ && in_ == nullptr) return {loop_.scratch(), Loop::scratch_bytes};
  if (in_ == nullptr) in_ = loop_.buffers().take();
  return {in_->tail(), in_->room()};
}

void RequestReader::clear() noexcept {
  if (in_ != nullptr) loop_.buffers().drop(std::exchange(in_, nullptr));
}

void RequestReader::release_if_empty() noexcept {
  if (empty()) clear();
}

// Bytes that came after a body: the next request has begun.
void RequestReader::keep(std::string_view bytes) {
  in_ = bytes.size() <= BufferPool::usual_capacity ? loop_.buffers().take() : BufferPool::make(bytes.size());
  std::memcpy(in_->tail(), bytes.data(), bytes.size());
  took(bytes.size());
}

// Part of a head may wait for the rest for as long as header_timeout: it gets a buffer of its size, so that a thousand
// slow clients hold a megabyte, not sixteen. A full buffer is replaced by a larger one.
void RequestReader::fit_buffer() {
  constexpr std::size_t smallest = 512;
  const std::size_t size = in_->size();
  if (!full() && in_->capacity <= std::max(2 * size, smallest)) return;
  const std::size_t capacity = full() ? std::max<std::size_t>(2 * size, BufferPool::usual_capacity) : size + smallest;
  if (!full() && capacity >= in_->capacity) return;
  Buffer* fitting = BufferPool::make(capacity);
  std::memcpy(fitting->bytes(), in_->bytes() + in_->begin, size);
  fitting->end = static_cast<std::uint32_t>(size);
  loop_.buffers().drop(std::exchange(in_, fitting));
}

// ---- heads ----

RequestReader::Step RequestReader::decode_proxy_header(Peer& peer) {
  const ProxyPolicy::ProxyHeader header = loop_.proxy_policy().take_proxy_header(unread(), peer);
  if (header.status == protocol::Status::need_more) {
    fit_buffer();
    return {Status::need_head};
  }
  proxy_header_due_ = false;
  if (header.refusal) return refuse(header.refusal);
  in_->begin += static_cast<std::uint32_t>(header.consumed);
  return {Status::complete};
}

RequestReader::Step RequestReader::need_head(std::size_t scanned) {
  scanned_ = static_cast<std::uint32_t>(scanned);
  fit_buffer();
  return {Status::need_head};
}

// The head says at its start how long it is. A refused one is an exchange all the same, for the log and the answer.
RequestReader::Step RequestReader::decode_gateway(Exchange& exchange) {
  const protocol::HeadLimits limits = limits_of(loop_.config());
  const std::span<char> bytes(in_->bytes() + in_->begin, in_->size());
  const protocol::CgiFed fed = wire_ == Wire::scgi
                                   ? protocol::decode_scgi_head(bytes, limits, exchange.head, exchange.gateway())
                                   : protocol::decode_uwsgi_head(bytes, limits, exchange.head, exchange.gateway());
  if (fed.status == protocol::Status::need_more) return need_head(0);
  exchange.in = in_->share();
  if (fed.status == protocol::Status::refused) return refuse(fed.refusal);
  in_->begin += static_cast<std::uint32_t>(fed.consumed);
  exchange.request_begin = bytes.data();
  return {Status::complete};
}

RequestReader::Step RequestReader::decode_records(Exchange& exchange) {
  using protocol::fastcgi::Event;
  const std::span<char> bytes(in_->bytes() + in_->begin, in_->size());
  protocol::fastcgi::Fed fed = records_->feed_head(bytes, scanned_, exchange.head, exchange.gateway());
  while (fed.event == Event::reply) {
    replies_ += fed.bytes;
    if (fed.last) return {Status::ends};
    fed = records_->feed_head(bytes, fed.consumed, exchange.head, exchange.gateway());
  }
  exchange.record_id = records_->request_id();
  if (fed.event == Event::refused) {
    exchange.in = in_->share();
    return refuse(fed.refusal);
  }
  if (fed.event != Event::head) {
    in_->end = in_->begin + static_cast<std::uint32_t>(records_->kept());
    return need_head(records_->kept());
  }
  exchange.in = in_->share();
  exchange.request_begin = fed.intact ? bytes.data() + fed.begin : nullptr;
  exchange.head.keep_alive = records_->keeps_connection();
  in_->begin += static_cast<std::uint32_t>(fed.consumed);
  return {Status::complete};
}

RequestReader::Step RequestReader::take_head(Exchange& exchange, Peer& peer) {
  const Step step = wire_ == Wire::http ? take_http_head(exchange, peer) : take_gateway_head(exchange, peer);
  return step.status == Status::complete ? begin_body(exchange) : step;
}

RequestReader::Step RequestReader::take_http_head(Exchange& exchange, Peer& peer) {
  const protocol::HeadFed fed = protocol::decode_head(in_->view(), scanned_, limits_of(loop_.config()), exchange.head);
  if (fed.status == protocol::Status::need_more) return need_head(fed.scanned);
  if (fed.status == protocol::Status::refused) return refuse({fed.http_status, fed.fault});
  scanned_ = 0;
  in_->begin += static_cast<std::uint32_t>(fed.consumed);
  exchange.request_begin = exchange.head.method.data;
  exchange.in = in_->share();
  exchange.peer = peer;
  exchange.started = loop_.turn_time();
  exchange.mount = loop_.mounts().route(exchange.head.authority, exchange.head.path);
  if (loop_.proxy_policy().applies_to(exchange.head)) [[unlikely]] {
    if (const auto refusal = loop_.proxy_policy().apply(exchange.head, peer, exchange.client)) return refuse(refusal);
  }
  return {Status::complete};
}

RequestReader::Step RequestReader::take_gateway_head(Exchange& exchange, const Peer& peer) {
  exchange.head.clear();  // a refusal may come before anything of it is known
  const Step decoded = wire_ == Wire::fastcgi ? decode_records(exchange) : decode_gateway(exchange);
  if (exchange.in == nullptr) return decoded;
  exchange.peer = peer;
  exchange.started = loop_.turn_time();
  if (decoded.status != Status::complete) return decoded;
  scanned_ = 0;
  if (const protocol::Refusal refusal = judge_gateway(loop_, exchange)) return refuse(refusal);
  return decoded;
}

RequestReader::Step RequestReader::watch() {
  using protocol::fastcgi::Event;
  while (!empty()) {
    const protocol::fastcgi::Fed fed = records_->feed_body(in_->view());
    in_->begin += static_cast<std::uint32_t>(fed.consumed);
    if (fed.event == Event::reply) replies_ += fed.bytes;
    if (fed.event == Event::aborted) return {Status::aborted};
    if (fed.event == Event::refused) return refuse(fed.refusal);
  }
  clear();
  return {Status::complete};
}

void RequestReader::end_request() noexcept {
  if (records_ != nullptr) records_->next_request();
}

// ---- bodies ----

RequestReader::Step RequestReader::begin_body(Exchange& exchange) {
  using protocol::Framing;
  protocol::Head& head = exchange.head;
  // No body at all and a body of no bytes mean the same from here on.
  if (head.content_length == 0 && head.framing == Framing::length) head.framing = Framing::none;
  const std::size_t room = in_->capacity - in_->begin;
  if (exchange.mount == nullptr) {
    exchange.host_status = 404;
  } else if (exchange.mount->trailing_slash != TrailingSlash::as_sent) [[unlikely]] {
    exchange.host_status = apply_trailing_slash(exchange);
  }
  if (exchange.host_status != 0) [[unlikely]] {
    // A small body is read and dropped. With a larger one, or one whose client waits for "100 Continue", the connection
    // ends after the answer.
    const bool is_small = head.framing == Framing::length && !head.expect_continue && head.content_length <= room;
    if (head.framing != Framing::none && !is_small) return refuse(refusal_of(exchange.host_status));
  }
  if (head.framing == Framing::none) return complete(exchange);
  const bool chunked = head.framing == Framing::chunked;
  const std::uint64_t limit = loop_.config().limit_request_body != 0 ? loop_.config().limit_request_body : UINT64_MAX;
  if (!chunked && head.content_length > limit) return refuse({413, body_too_large});
  in_body_ = true;
  contained_ = false;
  body_left_ = chunked ? limit : head.content_length;
  if (chunked && records_ == nullptr) chunks_ = std::make_unique<protocol::ChunkDecoder>();
  exchange.body_arrived = 0;
  exchange.body_pace.start(streams(exchange) ? unset : loop_.now());
  if (head.expect_continue && in_->size() == 0) return {Status::expects_continue};
  return continue_body(exchange);
}

RequestReader::Step RequestReader::continue_body(Exchange& exchange) {
  if (streams(exchange)) {
    exchange.inbox.expect();
    loop_.dispatcher().make_ready(exchange);
  } else {  // one that fits after its head is collected there, and never copied
    contained_ = chunks_ == nullptr && records_ == nullptr && body_left_ <= in_->capacity - in_->begin;
  }
  return take_buffered(exchange);
}

RequestReader::Step RequestReader::take_body(Exchange& exchange, std::size_t count) {
  if (!keeps_pace(exchange, count)) return refuse({408, body_too_slow});
  if (in_ != nullptr) {
    took(count);
    return take_buffered(exchange);
  }
  const std::string_view bytes(loop_.scratch(), count);
  std::size_t consumed = 0;
  const Step step = take_pieces(exchange, bytes, consumed);
  if (leaves_rest(step.status) && consumed != count) keep(bytes.substr(consumed));
  return step;
}

RequestReader::Step RequestReader::bypassed(Exchange& exchange, std::size_t count) {
  if (!keeps_pace(exchange, count)) return refuse({408, body_too_slow});
  body_left_ -= count;
  return body_left_ == 0 ? complete(exchange) : Step{Status::need_body};
}

// The body's bytes that lie in in_.
RequestReader::Step RequestReader::take_buffered(Exchange& exchange) {
  if (contained_) {
    if (in_->size() < body_left_) return {Status::need_body};
    exchange.body.borrow({in_->bytes() + in_->begin, static_cast<std::size_t>(body_left_)});
    in_->begin += static_cast<std::uint32_t>(body_left_);
    return complete(exchange);
  }
  std::size_t consumed = 0;
  const Step step = take_pieces(exchange, in_->view(), consumed);
  in_->begin += static_cast<std::uint32_t>(consumed);
  // From here on the body comes through the loop's scratch memory.
  if (!leaves_rest(step.status)) clear();
  return step;
}

RequestReader::Step RequestReader::take_records(Exchange& exchange, std::string_view bytes, std::size_t& consumed) {
  using protocol::fastcgi::Event;
  while (consumed < bytes.size()) {
    const protocol::fastcgi::Fed fed = records_->feed_body(bytes.substr(consumed));
    consumed += fed.consumed;
    switch (fed.event) {
      case Event::body:
        if (fed.bytes.size() > body_left_) return refuse({413, body_too_large});
        body_left_ -= fed.bytes.size();
        if (!store(exchange, fed.bytes)) return refuse({503, no_room_for_body});
        break;
      case Event::end: return complete(exchange);
      case Event::reply: replies_ += fed.bytes; break;
      case Event::aborted: return {Status::aborted};
      case Event::refused: return refuse(fed.refusal);
      case Event::need_more:
      case Event::head: break;
    }
  }
  return wait_for_body(exchange, loop_.config());
}

RequestReader::Step RequestReader::take_pieces(Exchange& exchange, std::string_view bytes, std::size_t& consumed) {
  if (records_ != nullptr) return take_records(exchange, bytes, consumed);
  while (consumed < bytes.size()) {
    std::string_view piece = bytes.substr(consumed);
    bool is_last;
    if (chunks_ != nullptr) {
      const protocol::ChunkFed fed = chunks_->feed(piece);
      if (fed.status == protocol::Status::refused) return refuse({400, chunks_->fault()});
      if (fed.data.size() + chunks_->chunk_left() > body_left_) return refuse({413, body_too_large});
      consumed += fed.consumed;
      piece = fed.data;
      is_last = fed.status == protocol::Status::complete;
    } else {
      piece = piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, piece.size())));
      consumed += piece.size();
      is_last = piece.size() == body_left_;
    }
    body_left_ -= piece.size();
    if (!store(exchange, piece)) return refuse({503, no_room_for_body});
    if (is_last) return complete(exchange);
  }
  return wait_for_body(exchange, loop_.config());
}

bool RequestReader::store(Exchange& exchange, std::string_view piece) {
  const Config& config = loop_.config();
  if (streams(exchange)) {
    if (!piece.empty()) exchange.inbox.feed(piece);
    return true;
  }
  const Result<Done> stored = exchange.body.append(piece, config.body_buffer_size, config.tmp_upload_dir);
  static LogLimit limit;
  if (!stored) limit.error("{} {}: {}", exchange.head.method.view(), exchange.head.target.view(), stored.error());
  return static_cast<bool>(stored);
}

bool RequestReader::keeps_pace(Exchange& exchange, std::size_t count) {
  exchange.body_arrived += count;
  // A handler that reads a stream may itself be what is slow: there only the time counts that it waited for the client.
  const Instant by_now = streams(exchange) ? unset + exchange.client_wait.total(loop_.turn_time()) : loop_.now();
  return !exchange.body_pace.too_slow(by_now, exchange.body_arrived, loop_.config().min_rate);
}

RequestReader::Step RequestReader::complete(Exchange& exchange) {
  if (in_ != nullptr) exchange.request_end = in_->bytes() + in_->begin;
  drop_body();
  if (streams(exchange) && exchange.head.framing != protocol::Framing::none) {
    exchange.inbox.end();  // its handler is at it already
  } else {
    loop_.dispatcher().make_ready(exchange);
  }
  return {Status::complete};
}

void RequestReader::drop_body() noexcept {
  in_body_ = false;
  chunks_.reset();
}

}  // namespace narwhal::worker
