// How a Response becomes calls on the host's table. AbiAdapter, Writer and Deferred use it; apps call inform() only.
// Ownership  the host copies fields before a call returns; a body that is owned is moved to the host and freed by it.
// Errors     functions of detail return plugin.h's codes. A stream's own exceptions pass through.
// Threads    as plugin.h says of each call.
// Units      sizes are in bytes.
#pragma once

#include <narwhal/deferred.hpp>
#include <narwhal/log.hpp>
#include <narwhal/response.hpp>
#include <narwhal/writer.hpp>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace narwhal {
namespace detail {

// Headers as an ABI array; up to eight fields are kept without an allocation.
class FieldList {
 public:
  explicit FieldList(const Headers& headers, std::string_view type = "") {
    const std::size_t most = headers.size() + 1;
    if (most > few_.size()) {
      many_.resize(most);
      fields_ = many_.data();
    }
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
  std::array<narwhal_field, 8> few_;
  std::vector<narwhal_field> many_;
  narwhal_field* fields_ = few_.data();
  std::uint32_t count_ = 0;
};

inline int start(const narwhal_host* host, narwhal_exchange* exchange, const Response& response, std::int64_t size) {
  const FieldList fields(response);
  narwhal_response head = fields.head(response.status());
  head.body_size = size;
  return host->start(exchange, &head);
}

inline int respond_text(const narwhal_host* host, narwhal_exchange* exchange, const Response& response, Text& body) {
  // Below this size, a copy by the host is cheaper than the allocation that hands the string over.
  constexpr std::size_t moved_from = 16 * 1024;
  const FieldList fields(response);
  narwhal_response whole = fields.head(response.status());
  whole.body = bytes_of(body.view());
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

inline int respond_stream(const narwhal_host* host, narwhal_exchange* exchange, const Response& response,
                          const Response::Streamed& streamed) {
  Writer writer(host, exchange, response, streamed.size);
  streamed.pieces(writer);
  writer.start();  // in case `pieces` wrote nothing
  return finish(host, exchange);
}

// Runs `later`, which owns the exchange from then on: it may have ended before this returns.
inline int defer(const narwhal_host* host, narwhal_exchange* exchange, const Response::Later& later) noexcept {
  try {
    later(Deferred(host, exchange));
  } catch (const std::exception& error) {
    log_error(error.what());  // the Deferred's destructor has answered 500
  } catch (...) {
    log_error("an exception that is not a std::exception");
  }
  return NARWHAL_DEFERRED;
}

// Sends the whole response; NARWHAL_DEFERRED when a Deferred finishes it. Throws what a stream throws. The exchange has
// not ended after an exception, NARWHAL_REFUSED or NARWHAL_STATE.
inline int respond(const narwhal_host* host, narwhal_exchange* exchange, Response& response) {
  Response::Body& content = response.content();
  if (Text* text = std::get_if<Text>(&content)) return respond_text(host, exchange, response, *text);
  if (auto* part = std::get_if<FilePart>(&content)) return respond_file(host, exchange, response, *part);
  if (auto* streamed = std::get_if<Response::Streamed>(&content)) {
    return respond_stream(host, exchange, response, *streamed);
  }
  return defer(host, exchange, std::get<Response::Later>(content));
}

// What on_cancel() left with the exchange. The mutex lets the loop's thread read it while another thread ends the
// exchange; it is not held while the callback runs.
using CancelCallback = std::function<void()>;
NARWHAL_OF_THIS_PLUGIN inline std::mutex cancel_mutex;

// Removes it from the exchange, so that it is called at most once. Null when there is none.
inline std::unique_ptr<CancelCallback> take_cancel_callback(const narwhal_host* host,
                                                            narwhal_exchange* exchange) noexcept {
  const std::lock_guard lock(cancel_mutex);
  std::unique_ptr<CancelCallback> callback(static_cast<CancelCallback*>(host->user(exchange)));
  host->set_user(exchange, nullptr);
  return callback;
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

inline void Writer::check(int code) {
  switch (code) {
    case NARWHAL_OK: return;
    case NARWHAL_GONE: throw Gone();
    case NARWHAL_STATE: throw std::length_error("more was written than was declared");
    case NARWHAL_REFUSED: throw std::invalid_argument("the status or a header may not go on the wire");
    default: throw std::runtime_error("the response could not be written");
  }
}

inline narwhal_exchange* Deferred::end() noexcept {
  detail::take_cancel_callback(host_, exchange_);
  return std::exchange(exchange_, nullptr);
}

inline void Deferred::on_cancel(std::function<void()> callback) {
  if (exchange_ == nullptr) return;
  auto kept = std::make_unique<detail::CancelCallback>(std::move(callback));
  detail::take_cancel_callback(host_, exchange_);
  {
    const std::lock_guard lock(detail::cancel_mutex);
    host_->set_user(exchange_, kept.release());
  }
  if (!gone()) return;
  // The client had gone before the callback was in place, so the hook did not find it.
  if (const auto missed = detail::take_cancel_callback(host_, exchange_)) (*missed)();
}

inline Sent Deferred::respond(Response response) {
  if (response.is_deferred()) return fail(500, "a deferred request was answered with another deferral");
  const char* reason = "the status or a header may not go on the wire";
  detail::take_cancel_callback(host_, exchange_);
  try {
    const auto sent = static_cast<Sent>(detail::respond(host_, exchange_, response));
    if (sent != Sent::refused && sent != Sent::state) {
      exchange_ = nullptr;
      return sent;
    }
  } catch (const Gone&) {
    reason = "";
  } catch (const std::exception& error) {
    reason = "a deferred response failed";
    log_error(error.what());
  }
  return fail(500, reason) == Sent::gone ? Sent::gone : Sent::error;
}

inline Sent Deferred::start(const Response& head, std::int64_t size) {
  const Sent sent = static_cast<Sent>(detail::start(host_, exchange_, head, size));
  started_ = started_ || sent == Sent::ok;
  return sent;
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
