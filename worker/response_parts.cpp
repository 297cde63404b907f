// A streamed response: its head, its parts, its end.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "protocol/http1_chunks.hpp"
#include "worker/loop.hpp"
#include "worker/response_writer.hpp"

namespace narwhal::worker {

namespace {

namespace fastcgi = protocol::fastcgi;
using Length = protocol::ResponseHead::Length;

// From here on a copy costs more than segments of their own.
constexpr std::size_t worth_borrowing = 4 * 1024;
constexpr std::chrono::microseconds gathering_for{500};  // parts of a response
// For the error log of the web server. The reason may be long, and is in ours.
constexpr std::string_view cut_text = "narwhal: the answer is cut off after its head: see narwhal's error log\n";

// sendfile(2) is called when the head is long gone: what it would refuse has to be found here.
Result<Done> check_file(int fd, std::int64_t offset, std::int64_t length) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return errno_error("look at the descriptor");
  if (!S_ISREG(facts.st_mode)) return Error{"not a regular file"};
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY) return Error{"not open for reading"};
  if (offset < 0 || length < 0 || offset > facts.st_size || length > facts.st_size - offset) {
    return Error{fmt::format("{} bytes from {} on, of a file of {}", length, offset, facts.st_size)};
  }
  return Done{};
}

}  // namespace

int ResponseWriter::start(const narwhal_response& response) {
  if (exchange_.gone()) return NARWHAL_GONE;
  const int result = begin("start", response, response.body_size);
  if (result == NARWHAL_OK) exchange_.hand_over(Push::hold, reached());
  return result;
}

// Bytes that stay the writer's: hand_over() sends them straight from where they are, and copies what it cannot.
void ResponseWriter::append_body(std::string_view bytes, LentBytes& lent, Keep keep) {
  if (lent) {
    bytes_.append_segment(lent.segment(bytes));
  } else if (bytes.size() < worth_borrowing || keep == Keep::copy) {
    bytes_.append(bytes);
  } else {
    bytes_.append_segment({.data = bytes.data(), .size = bytes.size(), .borrowed = true});
  }
}

// FastCGI: the header of each record comes before what it holds. Lent bytes are given back with the last one.
void ResponseWriter::append_records(std::string_view bytes, LentBytes& lent, Keep keep) {
  while (!bytes.empty()) {
    char header[fastcgi::header_bytes];
    const std::size_t size =
        fastcgi::encode_stream_header(fastcgi::Type::standard_out, exchange_.record_id, bytes.size(), header);
    const std::string_view content = bytes.substr(0, size);
    bytes.remove_prefix(size);
    if (content.size() < worth_borrowing) bytes_.reserve(sizeof header + content.size() + fastcgi::end_bytes_max);
    bytes_.append({header, sizeof header});
    if (lent && !bytes.empty()) {
      bytes_.append_segment({.data = content.data(), .size = content.size()});
    } else {
      append_body(content, lent, keep);
    }
  }
}

void ResponseWriter::append_fastcgi_end() {
  char end[fastcgi::end_bytes_max];
  bytes_.append({end, fastcgi::encode_end({.id = exchange_.record_id}, end)});
}

// A cut that the declared length shows may end with a status that says so, but STDOUT has no end then: after one, nginx takes
// the answer for whole and lets its client wait. Without a length, an end would make what there is look whole, and so would
// the end of a Unix socket, which knows no reset. STDERR is what the web server's log says beside that.
void ResponseWriter::show_cut() noexcept {
  if (!exchange_.wire().is_fastcgi() || state_.bodyless) return;
  const bool is_known = state_.framing == Length::known;
  char end[fastcgi::end_request_bytes];
  if (is_known) {
    fastcgi::encode_end_request({.id = exchange_.record_id, .application_status = 1}, end);
  } else {
    fastcgi::encode_broken_header(exchange_.record_id, end);
  }
  try {
    char header[fastcgi::header_bytes];
    fastcgi::encode_header(fastcgi::Type::standard_error, exchange_.record_id, cut_text.size(), header);
    bytes_.append({header, sizeof header});
    bytes_.append(cut_text);
    fastcgi::encode_header(fastcgi::Type::standard_error, exchange_.record_id, 0, header);
    bytes_.append({header, sizeof header});
    bytes_.append({end, is_known ? fastcgi::end_request_bytes : fastcgi::header_bytes});
    state_.cut_shown = is_known;
  } catch (const std::bad_alloc&) {  // the connection ends without it
  }
}

void ResponseWriter::append_part(std::string_view bytes, LentBytes& lent) {
  if (exchange_.wire().is_fastcgi()) return append_records(bytes, lent, Keep::during_call);
  if (state_.framing != Length::chunked) return append_body(bytes, lent);
  char line[protocol::chunk_line_bytes_max];
  const std::size_t size = protocol::encode_chunk_line(bytes.size(), line);
  if (bytes.size() < worth_borrowing) bytes_.reserve(size + bytes.size() + 2);
  bytes_.append({line, size});
  append_body(bytes, lent);
  bytes_.append_literal("\r\n");
}

// The last chunk, and what follows it; or the last records.
void ResponseWriter::append_end() {
  if (exchange_.wire().is_fastcgi()) return append_fastcgi_end();
  if (state_.framing != Length::chunked) return;
  if (state_.trailers.empty()) return bytes_.append_literal("0\r\n\r\n");
  bytes_.append_literal("0\r\n");
  bytes_.append(state_.trailers);
  bytes_.append_literal("\r\n");
}

// A part that comes soon after another waits for the next ones: to wake the client costs as much as to send some 64 KiB.
// It leaves with them, when the handler waits or returns, and at the latest when the standby thread takes the loop over.
Push ResponseWriter::push_of_part(std::size_t bytes, const LentBytes& lent) noexcept {
  const Instant now = narwhal::now();
  const bool may_stay = (lent || bytes < worth_borrowing) && !exchange_.mount->is_inline();
  if (may_stay && exchange_.handover.has_room_for(bytes) && now - state_.pushed < gathering_for) {
    return lent ? Push::gather : Push::hold;
  }
  state_.pushed = now;
  return Push::now;
}

// NARWHAL_OK: there may be another part, of this many bytes.
int ResponseWriter::check_part(const char* call, std::uint64_t bytes) const noexcept {
  if (exchange_.gone()) return NARWHAL_GONE;
  if (state_.stage != Stage::started) return refuse_call(call, why_not_now());
  if (state_.cut) return NARWHAL_ERROR;
  if (state_.framing != Length::known || bytes <= state_.left || state_.bodyless) return NARWHAL_OK;
  char why[96];
  const auto end = fmt::format_to_n(why, sizeof why, "{} bytes are more than the {} that the declared length leaves",
                                    bytes, state_.left);
  return refuse_call(call, {why, std::min(end.size, sizeof why)});
}

int ResponseWriter::write(std::string_view bytes, WhenFull when_full, LentBytes lent) {
  if (const int checked = check_part("write", bytes.size()); checked != NARWHAL_OK) return checked;
  if (state_.bodyless) return NARWHAL_OK;
  if (const int waited = wait_for_room(when_full); waited != NARWHAL_OK) {
    if (waited == NARWHAL_AGAIN) lent.decline();
    return waited;
  }
  if (bytes.empty()) return NARWHAL_OK;  // as a chunk it would be the last
  const Push push = push_of_part(bytes.size(), lent);
  try {
    append_part(bytes, lent);
  } catch (const std::bad_alloc&) {
    cut_off();
    return NARWHAL_ERROR;
  }
  count_body(bytes.size());
  exchange_.hand_over(push, reached());
  return NARWHAL_OK;
}

// Counted when it is on its way, not before: what fails must be missed at the end.
void ResponseWriter::count_body(std::uint64_t bytes) noexcept {
  if (state_.framing == Length::known) state_.left -= bytes;
  state_.body_sent += bytes;
}

void ResponseWriter::cut_off() noexcept {
  bytes_.discard();
  if (state_.stage == Stage::none) return;  // it was an interim response, which is advice
  if (std::exchange(state_.cut, true)) return;
  log::error("{} {}: out of memory: the response is cut off", exchange_.head.method.view(),
             exchange_.head.target.view());
}

int ResponseWriter::wait_for_room(WhenFull when_full) {
  Handover& handover = exchange_.handover;
  if (handover.has_room()) return NARWHAL_OK;
  if (when_full == WhenFull::fail || exchange_.mount->is_inline())
    return exchange_.finds_room() ? NARWHAL_OK : NARWHAL_AGAIN;
  const auto may_go_on = [this] { return exchange_.handover.drained() || exchange_.gone(); };
  exchange_.begin_wait();
  if (!exchange_.on_handler_thread() || !exchange_.loop().crew().tend_until(may_go_on)) handover.wait_until_drained();
  exchange_.end_wait();
  return exchange_.gone() ? NARWHAL_GONE : NARWHAL_OK;
}

int ResponseWriter::send_file(int fd, std::int64_t offset, std::int64_t length) {
  const protocol::Head& request = exchange_.head;
  if (const int checked = check_part("send_file", 0); checked != NARWHAL_OK) return checked;
  if (const Result<Done> sendable = check_file(fd, offset, length); !sendable) {
    log::error("{} {}: send_file: {}", request.method.view(), request.target.view(), sendable.error());
    return NARWHAL_ERROR;
  }
  if (state_.bodyless) return NARWHAL_OK;
  const auto size = static_cast<std::uint64_t>(length);
  if (const int checked = check_part("send_file", size); checked != NARWHAL_OK) return checked;
  if (wait_for_room(WhenFull::wait) == NARWHAL_GONE)
    return NARWHAL_GONE;  // an inline one goes on: a file costs no room
  if (size == 0) return NARWHAL_OK;
  Segment file{.size = size, .file = ::fcntl(fd, F_DUPFD_CLOEXEC, 0), .offset = offset};
  if (file.file < 0) {
    static LogLimit limit;
    limit.error("{} {}: send_file: duplicate the descriptor: {}", request.method.view(), request.target.view(),
                std::strerror(errno));
    return NARWHAL_ERROR;
  }
  try {
    append_file(file);
  } catch (const std::bad_alloc&) {
    discard(file);
    cut_off();
    return NARWHAL_ERROR;
  }
  count_body(size);
  exchange_.hand_over(Push::now, reached());
  return NARWHAL_OK;
}

// Takes the segment over, and leaves an empty one. So it does when it throws, unless it was not reached.
void ResponseWriter::append_file(Segment& file) {
  if (exchange_.wire().is_fastcgi()) return append_file_records(file);
  const bool chunked = state_.framing == Length::chunked;
  if (chunked) {
    char line[protocol::chunk_line_bytes_max];
    bytes_.append({line, protocol::encode_chunk_line(file.size, line)});
  }
  bytes_.append_segment(std::exchange(file, {}));
  if (chunked) bytes_.append_literal("\r\n");
}

// Records of full size have one header, which they share as they share the descriptor: the last segments give both back.
void ResponseWriter::append_file_records(Segment& file) {
  const std::size_t full = static_cast<std::size_t>((file.size - 1) / fastcgi::content_bytes_max);
  bytes_.reserve_segments(2 * full + 2);
  OwnedMemory headers(2 * fastcgi::header_bytes);
  const std::uint64_t rest = file.size - full * fastcgi::content_bytes_max;
  fastcgi::encode_header(fastcgi::Type::standard_out, exchange_.record_id, fastcgi::content_bytes_max, headers.data());
  fastcgi::encode_header(fastcgi::Type::standard_out, exchange_.record_id, rest,
                         headers.data() + fastcgi::header_bytes);
  Segment last_header = std::move(headers).segment(fastcgi::header_bytes);
  for (std::size_t record = 0; record < full; ++record) {
    bytes_.append_segment({.data = last_header.data, .size = fastcgi::header_bytes});
    bytes_.append_segment(
        {.size = fastcgi::content_bytes_max, .file = file.file, .offset = file.offset, .owns_file = false});
    file.offset += static_cast<std::int64_t>(fastcgi::content_bytes_max);
  }
  last_header.data += fastcgi::header_bytes;
  file.size = rest;
  bytes_.append_segment(last_header);
  bytes_.append_segment(std::exchange(file, {}));
}

// On the handler's thread only: its connection stays with it until handle() has returned.
void ResponseWriter::flush() noexcept {
  if (exchange_.on_handler_thread() && !bytes_.empty()) exchange_.hand_over(Push::soon, reached());
}

int ResponseWriter::finish() {
  if (exchange_.gone()) {
    exchange_.end_response();
    return NARWHAL_GONE;
  }
  if (state_.stage != Stage::started) return refuse_call("finish", why_not_now());
  const bool is_short = state_.framing == Length::known && state_.left != 0 && !state_.bodyless;
  if (!is_short && !state_.cut) {
    try {
      append_end();
    } catch (const std::bad_alloc&) {
      cut_off();
    }
  }
  state_.stage = Stage::finished;
  if (is_short && !state_.cut) {
    state_.cut = true;
    show_cut();
    log::error("{} {}: the response is {} bytes short of its declared length: connection closed",
               exchange_.head.method.view(), exchange_.head.target.view(), state_.left);
  }
  const bool was_cut = state_.cut;
  exchange_.end_response();  // from here on it may be somebody else's
  return is_short ? NARWHAL_STATE : was_cut ? NARWHAL_ERROR : NARWHAL_OK;
}

}  // namespace narwhal::worker
