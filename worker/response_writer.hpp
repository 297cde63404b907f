// ResponseWriter: what a plugin says in response to its request, or the host in its place, becomes bytes.
// Threads  the answering thread's. When its handler has returned, the loop's.
// Errors   the codes of plugin.h; std::bad_alloc from inform() and trailers(), which then have changed nothing.
// Memory   where it runs out, nothing of a part may be missing unseen: the response is cut off, which its client sees as a
//          reset, or a 500 takes its place while nothing of it has left.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/clock.hpp"
#include "narwhal/plugin.h"
#include "protocol/http1_response.hpp"
#include "worker/handover.hpp"
#include "worker/response_bytes.hpp"
#include "worker/segment.hpp"

namespace narwhal::worker {

class Exchange;
enum class Push : std::uint8_t;

class ResponseWriter {
 public:
  explicit ResponseWriter(Exchange& exchange) noexcept : exchange_(exchange) {}
  ResponseWriter(const ResponseWriter&) = delete;
  ResponseWriter& operator=(const ResponseWriter&) = delete;

  // ---- the host table's functions ----
  int respond(const narwhal_response& response);
  int inform(int status, const narwhal_field* fields, std::uint32_t count);
  int start(const narwhal_response& response);
  enum class WhenFull : bool { fail, wait };  // where the client takes it slowly
  int write(std::string_view bytes, WhenFull when_full, LentBytes lent = {});
  int send_file(int fd, std::int64_t offset, std::int64_t length);
  int trailers(const narwhal_field* fields, std::uint32_t count);
  int finish();
  int fail(int status, std::string_view reason);
  void flush() noexcept;

  // ---- for the loop, in a handler's place ----
  // The handler has returned `result` and not ended its response: 500, or a visible cut.
  void end_for_handler(int result) noexcept;
  // A short plain response with the exchange's host_status.
  void respond_for_host() noexcept;

  ResponseBytes& bytes() noexcept { return bytes_; }
  const ResponseBytes& bytes() const noexcept { return bytes_; }
  Handover::Reached reached() const noexcept;
  void cut_off() noexcept;  // memory has run out: what has not been sent yet is lost
  int status() const noexcept { return state_.status; }
  std::uint64_t body_sent() const noexcept { return state_.body_sent; }
  bool truncated() const noexcept { return state_.cut; }
  bool cut_is_shown() const noexcept { return state_.cut_shown; }  // to the client, by the wire's own means
  void reset() noexcept;

 private:
  enum class Stage : std::uint8_t { none, started, finished };
  enum class Keep : std::uint8_t { during_call, copy };  // how long bytes of the writer's are there

  int begin(const char* call, const narwhal_response& response, std::int64_t body_size);
  int respond_with(const narwhal_response& response, LentBytes& lent);
  int respond_without_memory() noexcept;
  int refuse_call(const char* call, std::string_view why) const noexcept;
  const char* why_not_now() const noexcept;
  int check_part(const char* call, std::uint64_t bytes) const noexcept;
  int wait_for_room(WhenFull when_full);
  void append_part(std::string_view bytes, LentBytes& lent);
  void append_records(std::string_view bytes, LentBytes& lent, Keep keep);
  void append_whole(std::string_view body, LentBytes& lent);
  void append_body(std::string_view bytes, LentBytes& lent, Keep keep = Keep::during_call);
  void append_file(Segment& file);
  void append_file_records(Segment& file);
  void append_end();
  void append_fastcgi_end();
  void show_cut() noexcept;
  Push push_of_part(std::size_t bytes, const LentBytes& lent) noexcept;
  void count_body(std::uint64_t bytes) noexcept;

  struct State {
    Stage stage = Stage::none;
    bool bodyless = false;  // HEAD, 204, 205, 304: what is written is dropped
    bool cut = false;       // the response is not what was promised: the connection must be closed
    bool cut_shown = false;
    protocol::ResponseHead::Length framing = protocol::ResponseHead::Length::known;
    int status = 0;
    std::uint64_t left = 0;  // of a declared length
    std::uint64_t body_sent = 0;
    Instant pushed = unset;     // when parts of its body last left at once
    std::string_view trailers;  // the lines that follow the last chunk; in the arena
  };
  Exchange& exchange_;
  State state_;
  ResponseBytes bytes_;
};

}  // namespace narwhal::worker
