// RequestReader: from the bytes of one connection to its requests: a PROXY header where one is expected, then heads and
// their bodies, one after another. It keeps what has not been understood yet, and hands complete requests to the dispatcher;
// a streamed body goes to its handler piece by piece.
//   socket -> room() -> took() or take_body() -> Step: what the connection has to do about it
// Wires      HTTP: pipelined requests, bodies of a length or in chunks. SCGI and uwsgi: one request, a body of a length.
//            FastCGI: one request at a time, in records, also while it is being answered: watch().
// Ownership  the head and a body that fits after it stay in the buffer where they were read; the exchange shares it.
// Limits     those of the settings, on sizes and on the rate of a body. Silence is the connection's to notice.
// Errors     bad bytes, sizes over a limit and a full disk are Status::refused with a status and a reason. std::bad_alloc.
// Threads    the holder of the baton.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/fastcgi_reader.hpp"
#include "protocol/http1_chunks.hpp"
#include "protocol/refusal.hpp"
#include "worker/buffers.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

class RequestReader {
 public:
  enum class Status : std::uint8_t {
    need_head,         // bytes of a head, or of a PROXY header
    need_body,         // bytes of a body
    body_full,         // the handler reads its body too slowly: read no more until it asks for more
    expects_continue,  // the client waits for "100 Continue": send it, then continue_body()
    complete,          // the request has been handed to the dispatcher, or its streamed body has ended
    aborted,           // the web server in front wants no answer any more
    ends,              // the connection does, after take_replies()
    refused,
  };
  struct Step {
    Status status;
    protocol::Refusal refusal{};
  };

  RequestReader(Loop& loop, Wire wire);  // throws std::bad_alloc
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;
  ~RequestReader() { clear(); }

  void expect_proxy_header() noexcept { proxy_header_due_ = true; }  // before the first request
  void adopt(Buffer* bytes) noexcept { in_ = bytes; }                // what a sibling has read and not answered

  // ---- bytes of the socket ----
  struct Room {
    char* bytes;
    std::size_t size;
  };
  Room room();                             // where the next ones belong
  void took(std::size_t count) noexcept {  // so many are there; outside a body
    in_->end += static_cast<std::uint32_t>(count);
  }
  bool empty() const noexcept { return in_ == nullptr || in_->size() == 0; }
  // Between two requests, and none has begun.
  bool at_rest() const noexcept { return empty() && (records_ == nullptr || records_->at_rest()); }
  bool full() const noexcept { return in_ != nullptr && in_->room() == 0; }
  bool holds_buffer() const noexcept { return in_ != nullptr; }
  std::string_view unread() const noexcept { return in_ != nullptr ? in_->view() : std::string_view(); }
  void release_if_empty() noexcept;
  void clear() noexcept;

  // ---- requests ----
  // complete: the first head is next.
  Step take_proxy_header(Peer& peer) { return proxy_header_due_ ? decode_proxy_header(peer) : Step{Status::complete}; }
  // The next head, and what is there of its body. Without exchange.in there was no valid head, and the exchange is unused.
  Step take_head(Exchange& exchange, Peer& peer);
  // FastCGI: what has come while the request is being answered.
  Step watch();
  // FastCGI: what is to be sent beside the answers. To be looked at after each call above or below; mostly empty.
  std::string take_replies() noexcept { return std::exchange(replies_, {}); }
  // The request has been answered, or will not be.
  void end_request() noexcept;
  // FastCGI: the id of the request in hand; 0: none, so that there is nobody to answer.
  std::uint16_t record_id() const noexcept { return records_ != nullptr ? records_->request_id() : 0; }
  Step continue_body(Exchange& exchange);
  // So many bytes of the body have come to room().
  Step take_body(Exchange& exchange, std::size_t count);
  // A handler that streams may read its body from the socket itself, as far as this says: 0 where it has to come by here.
  std::uint64_t bypass_max() const noexcept {
    return chunks_ == nullptr && records_ == nullptr && in_ == nullptr ? body_left_ : 0;
  }
  Step bypassed(Exchange& exchange, std::size_t count);
  void drop_body() noexcept;  // nobody wants the rest
  // All bytes of the request are in exchange.in: it can be given to a sibling.
  bool contains(const Exchange& exchange) const noexcept {
    const bool is_whole = exchange.head.framing == protocol::Framing::none || contained_;
    return is_whole && exchange.request_begin != nullptr && (records_ == nullptr || records_->between_records());
  }

 private:
  Step decode_proxy_header(Peer& peer);
  Step take_http_head(Exchange& exchange, Peer& peer);
  Step take_gateway_head(Exchange& exchange, const Peer& peer);
  Step decode_gateway(Exchange& exchange);  // SCGI and uwsgi
  Step decode_records(Exchange& exchange);
  Step need_head(std::size_t scanned);
  Step begin_body(Exchange& exchange);
  Step take_buffered(Exchange& exchange);
  Step take_pieces(Exchange& exchange, std::string_view bytes, std::size_t& consumed);
  Step take_records(Exchange& exchange, std::string_view bytes, std::size_t& consumed);
  bool store(Exchange& exchange, std::string_view piece);
  Step complete(Exchange& exchange);
  void keep(std::string_view bytes);
  bool keeps_pace(Exchange& exchange, std::size_t count);
  void fit_buffer();

  Loop& loop_;
  Buffer* in_ = nullptr;       // bytes not yet understood
  std::uint32_t scanned_ = 0;  // of an incomplete head
  const Wire wire_;
  bool in_body_ = false;    // the next bytes are of a body
  bool contained_ = false;  // it is collected in in_
  bool proxy_header_due_ = false;
  std::uint64_t body_left_ = 0;  // of the length announced; of a chunked body, what limit_request_body leaves
  std::unique_ptr<protocol::ChunkDecoder> chunks_;
  std::unique_ptr<protocol::fastcgi::Reader> records_;  // of FastCGI
  std::string replies_;
};

}  // namespace narwhal::worker
