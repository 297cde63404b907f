// How a Response becomes calls on the host's table. AbiAdapter, Writer and Deferred use it; apps call inform() only.
// Ownership  the host copies fields before a call returns; a body that is owned is moved to the host and freed by it.
// Errors     functions of detail return plugin.h's codes. A stream's own exceptions pass through.
// Threads    as plugin.h says of each call.
// Units      sizes are in bytes.
#pragma once

#include <narwhal/deferred.hpp>
#include <narwhal/exchange_callbacks.hpp>
#include <narwhal/log.hpp>
#include <narwhal/response.hpp>
#include <narwhal/writer.hpp>

#include <string>

namespace narwhal {
namespace detail {

// Headers as an ABI array; up to eight fields are kept without an allocation.
class FieldList {
 public:
  explicit FieldList(const Headers& headers, std::string_view type = "") {
    const std::size_t most = headers.size() + 1;
    if (most > few_max) fields_ = new narwhal_field[most];
    if (!type.empty() && !headers.contains("Content-Type")) {
      fields_[count_++] = {bytes_of("Content-Type"), bytes_of(type)};
    }
    for (const auto& [name, value] : headers) {
      fields_[count_++] = {bytes_of(name.view()), bytes_of(value.view())};
    }
  }
  explicit FieldList(const Response& response) : FieldList(response.headers(), response.type()) {}
  FieldList(const FieldList&) = delete;
  FieldList& operator=(const FieldList&) = delete;
  ~FieldList() {
    if (fields_ != few_) delete[] fields_;
  }

  narwhal_response head(int status) const noexcept {
    narwhal_response head{};
    head.struct_size = sizeof head;
    head.status = status;
    head.field_count = count_;
    head.fields = fields_;
    return head;
  }
  const narwhal_field* fields() const noexcept { return fields_; }
  std::uint32_t count() const noexcept { return count_; }

 private:
  static constexpr std::size_t few_max = 8;
  narwhal_field few_[few_max];
  narwhal_field* fields_ = few_;
  std::uint32_t count_ = 0;
};

inline int start(const narwhal_host* host, narwhal_exchange* exchange, const Response& response, std::int64_t size) {
  const FieldList fields(response);
  narwhal_response head = fields.head(response.status());
  head.reason = bytes_of(response.reason());
  head.body_size = size;
  return host->start(exchange, &head);
}

inline int respond_text(const narwhal_host* host, narwhal_exchange* exchange, const Response& response, Text& body) {
  // Below this size, a copy by the host is cheaper than the allocation that hands the string over.
  constexpr std::size_t moved_from = 16 * 1024;
  const FieldList fields(response);
  narwhal_response whole = fields.head(response.status());
  whole.body = bytes_of(body.view());
  whole.reason = bytes_of(response.reason());
  if (body.lasts_forever()) {
    whole.release = [](void*) {};
  } else if (body.owned() && whole.body.size >= moved_from) {
    auto* kept = new std::string(std::move(body).take());
    whole.body = bytes_of(*kept);
    whole.release_arg = kept;
    whole.release = [](void* string) { delete static_cast<std::string*>(string); };
  }
  return host->respond(exchange, &whole);
}

// OK without an effect when the host's table does not reach to trailers(): they may be lost on any hop, so no client
// may depend on them.
inline int trailer(const narwhal_host* host, narwhal_exchange* exchange, std::string_view name,
                   std::string_view value) noexcept {
  if (!NARWHAL_HAS(host, narwhal_host, trailers)) return NARWHAL_OK;
  const narwhal_field field = {bytes_of(name), bytes_of(value)};
  return host->trailers(exchange, &field, 1);
}

// The exchange has ended after this, whatever it returns; callers of respond() would read STATE as "not ended yet".
inline int finish(const narwhal_host* host, narwhal_exchange* exchange) noexcept {
  const int code = host->finish(exchange);
  return code == NARWHAL_STATE ? NARWHAL_ERROR : code;
}

inline int respond_file(const narwhal_host* host, narwhal_exchange* exchange, const Response& response,
                        const FilePart& part) {
  Writer writer(host, exchange, response, part.size());
  writer.start();
  if (part.size() > 0) writer.send_file(part.fd(), part.offset(), part.size());
  return finish(host, exchange);
}

// Why a response is cut off, when the error comes after its head.
inline std::string_view too_late(const HttpError& error) noexcept {
  return error.log_text().empty() ? error.text() : error.log_text();
}

inline int respond_stream(const narwhal_host* host, narwhal_exchange* exchange, const Response& response,
                          Response::Stream& pieces, std::int64_t size) {
  Writer writer(host, exchange, response, size);
  try {
    pieces(writer);
  } catch (const HttpError& error) {
    if (!writer.started()) throw;
    throw std::runtime_error(std::string(too_late(error)));
  }
  writer.start();  // in case `pieces` wrote nothing
  return finish(host, exchange);
}

// Answers with what was thrown, or cuts the response off when its head has been sent (`has_head`). Only to be called inside
// a catch block; ends the exchange. Returns plugin.h's code.
[[gnu::cold]] inline int respond_exception(const narwhal_host* host, narwhal_exchange* exchange,
                                           bool has_head = false) noexcept {
  std::string reason;
  try {
    throw;
  } catch (const Gone&) {
    host->fail(exchange, 500, {nullptr, 0});  // nobody reads it, and it is not logged
    return NARWHAL_GONE;
  } catch (const HttpError& error) {
    try {
      if (has_head) throw std::runtime_error(std::string(too_late(error)));
      if (!error.log_text().empty()) log_error(Request(host, exchange), error.log_text());
      Response answer = Response::error(error);
      const int code = respond(host, exchange, answer);
      if (code != NARWHAL_REFUSED && code != NARWHAL_STATE) return code;
      reason = error.what();
    } catch (...) {
      reason = reason_now();
    }
  } catch (...) {
    reason = reason_now();
  }
  host->fail(exchange, 500, bytes_of(reason));
  return NARWHAL_ERROR;
}

// Runs `later`, which owns the exchange from then on: it may have ended before this returns. When it throws with the
// exchange still its own, the answer is what a handler's exception would get.
inline int defer(const narwhal_host* host, narwhal_exchange* exchange, Response::Later& later) noexcept {
  Unwinding here{exchange};
  Unwinding* const outer = std::exchange(unwinding, &here);
  std::string name;
  try {
    name = name_of(Request(host, exchange));
    later(Deferred(host, exchange));
    // Its Deferred went with an exception that it has caught itself.
    if (here.left) host->fail(exchange, 500, bytes_of(Deferred::dropped));
  } catch (...) {
    if (here.left) {
      respond_exception(host, exchange, here.has_head);
    } else {
      log_error(name.append(": ").append(reason_now()));  // somebody else answers, or has answered
    }
  }
  unwinding = outer;
  return NARWHAL_DEFERRED;
}

// Sends the whole response; NARWHAL_DEFERRED when a Deferred finishes it. Throws what a stream throws. The exchange has
// not ended after an exception, NARWHAL_REFUSED or NARWHAL_STATE.
inline int respond(const narwhal_host* host, narwhal_exchange* exchange, Response& response) {
  switch (response.kind_) {
    case Response::Kind::file: return respond_file(host, exchange, response, response.file_);
    case Response::Kind::stream:
      return respond_stream(host, exchange, response, response.stream_, response.stream_size_);
    case Response::Kind::later: return defer(host, exchange, response.later_);
    default: return respond_text(host, exchange, response, response.text_);
  }
}

// A piece that the server need not copy; `string` is freed by it, or null when the bytes outlive everything.
inline int write_lent(const narwhal_host* host, narwhal_exchange* exchange, std::string_view piece,
                      std::string* string) {
  if (!NARWHAL_HAS(host, narwhal_host, write_lent)) {
    const int code = host->write(exchange, bytes_of(piece), 0);
    delete string;
    return code;
  }
  const auto release = [](void* kept) { delete static_cast<std::string*>(kept); };
  const int code = host->write_lent(exchange, bytes_of(piece), 0, release, string);
  if (code == NARWHAL_AGAIN) delete string;  // nothing was taken
  return code;
}

inline int write_owned(const narwhal_host* host, narwhal_exchange* exchange, std::string piece) {
  constexpr std::size_t lent_from = 4 * 1024;
  if (piece.size() < lent_from) return host->write(exchange, bytes_of(piece), 0);
  auto* string = new std::string(std::move(piece));
  return write_lent(host, exchange, *string, string);
}

}  // namespace detail

// Sends an interim response at once, before the final one: 103 (Early Hints) with Link fields lets a browser fetch what
// the page will need. From any thread, for a Deferred too:
//   inform(deferred.request(), 103, Headers().add("Link", "</style.css>; rel=preload; as=style"));
// Sent::ok, also when nothing was sent because the client speaks HTTP/1.0 or the host's table does not reach to
// inform(); Sent::again when the client is slow; Sent::state after the head was sent; Sent::refused as plugin.h says.
inline Sent inform(const Request& request, int status, const Headers& headers) {
  if (!NARWHAL_HAS(request.host(), narwhal_host, inform)) return Sent::ok;
  const detail::FieldList fields(headers);
  return static_cast<Sent>(request.host()->inform(request.exchange(), status, fields.fields(), fields.count()));
}

inline void Writer::trailer(std::string_view name, std::string_view value) {
  start();
  check(detail::trailer(host_, exchange_, name, value));
}

inline void Writer::write_owned(std::string piece) {
  start();
  check(detail::write_owned(host_, exchange_, std::move(piece)));
}
inline void Writer::write(Forever piece) {
  start();
  check(detail::write_lent(host_, exchange_, piece.bytes, nullptr));
}

inline void Writer::check(int code) {
  switch (code) {
    case NARWHAL_OK: return;
    case NARWHAL_GONE: throw Gone();
    case NARWHAL_STATE: throw std::length_error("more was written than was declared");
    case NARWHAL_REFUSED: throw std::invalid_argument("the status or a header may not go on the wire");
    default: throw std::runtime_error("the response could not be written");
  }
}

inline void Deferred::drop_callbacks() noexcept {
  if (!std::exchange(has_callback_, false)) return;
  detail::cancel_callbacks.drop(exchange_);
  detail::writable_callbacks.drop(exchange_);
}

inline narwhal_exchange* Deferred::end() noexcept {
  drop_callbacks();
  ended_ = true;
  return exchange_;
}

// The server logs the call. This one has no effect, whatever the answer would have been.
inline Sent Deferred::answered_again() noexcept {
  narwhal_response none{};
  none.struct_size = sizeof none;
  none.status = 500;
  host_->respond(exchange_, &none);
  return Sent::state;
}

inline void Deferred::on_cancel(Callable<void()> callback) {
  if (!*this) return;
  narwhal_exchange* const exchange = exchange_;
  has_callback_ = true;
  detail::cancel_callbacks.set(exchange, std::move(callback));
  if (!gone()) return;
  // The client had gone before the callback was in place, so the hook did not find it.
  if (Callable<void()> missed = detail::cancel_callbacks.take(exchange)) missed();
}

inline void Deferred::on_writable(Callable<void()> callback) {
  if (!*this) return;
  has_callback_ = true;
  detail::writable_callbacks.set(exchange_, std::move(callback));
}

inline Sent Deferred::respond(Response response) {
  if (!*this) return answered_again();
  if (response.is_deferred()) return fail(500, "a deferred request was answered with another deferral");
  drop_callbacks();
  auto sent = Sent::ok;
  try {
    sent = static_cast<Sent>(detail::respond(host_, exchange_, response));
    if (sent != Sent::refused && sent != Sent::state) {
      ended_ = true;
      return sent;
    }
  } catch (...) {
    return respond_exception();
  }
  const bool is_late = sent == Sent::state;
  const Sent failed = fail(500, is_late ? "respond() after start(): the response is cut off"
                                        : "the status or a header may not go on the wire");
  return failed == Sent::gone ? Sent::gone : is_late ? Sent::state : Sent::error;
}

inline Sent Deferred::respond_exception() noexcept {
  if (!*this) return answered_again();
  const auto sent = static_cast<Sent>(detail::respond_exception(host_, end(), started_));
  return sent == Sent::ok || sent == Sent::gone ? sent : Sent::error;
}

inline Sent Deferred::start(const Response& head, std::int64_t size) {
  const Sent sent = static_cast<Sent>(detail::start(host_, exchange_, head, size));
  started_ = started_ || sent == Sent::ok;
  return sent;
}

inline Sent Deferred::write_owned(std::string piece) {
  return static_cast<Sent>(detail::write_owned(host_, exchange_, std::move(piece)));
}

inline Sent Deferred::write(Forever piece) {
  return static_cast<Sent>(detail::write_lent(host_, exchange_, piece.bytes, nullptr));
}

inline Sent Deferred::trailer(std::string_view name, std::string_view value) noexcept {
  return static_cast<Sent>(detail::trailer(host_, exchange_, name, value));
}

inline Sent Deferred::finish() {
  if (!started_ && !gone()) return fail(500, "a deferred request was finished without a response");
  return static_cast<Sent>(host_->finish(end()));
}

inline Sent Deferred::fail(int status, std::string_view reason) {
  return static_cast<Sent>(host_->fail(end(), status, bytes_of(reason)));
}

}  // namespace narwhal
