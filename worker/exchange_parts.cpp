// A streamed answer: its head, its parts, its end.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "protocol/http1_chunks.hpp"
#include "protocol/http1_trailers.hpp"
#include "worker/exchange.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// From here on a copy costs more than segments of their own.
constexpr std::size_t worth_borrowing = 4 * 1024;
constexpr std::chrono::microseconds gathering_for{500};  // parts of an answer

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

int Exchange::start(const narwhal_response& response) {
  if (gone()) return NARWHAL_GONE;
  const int result = begin_answer(response, response.body_size);
  if (result != NARWHAL_OK) return result;
  hand_over(Push::hold, Last::no);
  return NARWHAL_OK;
}

// Bytes that stay the writer's: hand_over() sends them straight from where they are, and copies what it cannot.
void Exchange::append_body(std::string_view bytes, Loan& loan) {
  if (loan) {
    append_segment(loan.segment(bytes));
  } else if (bytes.size() < worth_borrowing) {
    append(bytes);
  } else {
    append_segment({.data = bytes.data(), .size = bytes.size(), .borrowed = true});
  }
}

void Exchange::append_part(std::string_view bytes, Loan& loan) {
  if (framing_ != protocol::ResponseHead::Length::chunked) return append_body(bytes, loan);
  char line[protocol::chunk_line_bytes_max];
  const std::size_t size = protocol::encode_chunk_line(bytes.size(), line);
  if (bytes.size() < worth_borrowing) reserve(size + bytes.size() + 2);
  append({line, size});
  append_body(bytes, loan);
  append_literal("\r\n");
}

// The last chunk, and what follows it.
void Exchange::append_end() {
  if (trailers_.empty()) return append_literal("0\r\n\r\n");
  append_literal("0\r\n");
  append(trailers_);
  append_literal("\r\n");
}

// A part that comes right behind another waits for the next ones: to wake the client costs as much as to send some 64 KiB.
// It leaves with them, when the handler waits or returns, and at the latest when the standby thread takes the loop over.
Push Exchange::push_of_part(std::size_t bytes, bool lent) noexcept {
  const Instant now = narwhal::now();
  const bool may_stay = (lent || bytes < worth_borrowing) && !mount->is_inline();
  const bool more_fit = unsent_.load(std::memory_order_relaxed) + bytes < loop_.config().response_buffer_size;
  if (may_stay && more_fit && now - pushed_ < gathering_for) return lent ? Push::gather : Push::hold;
  pushed_ = now;
  return Push::now;
}

int Exchange::write(std::string_view bytes, bool may_wait, Loan loan) {
  using Length = protocol::ResponseHead::Length;
  if (gone()) return NARWHAL_GONE;
  if (answer_ != Answer::started) return NARWHAL_STATE;
  if (cut_) return NARWHAL_ERROR;
  if (bodyless_) return NARWHAL_OK;
  if (framing_ == Length::known && bytes.size() > left_) return NARWHAL_STATE;
  if (const int waited = wait_for_room(may_wait); waited != NARWHAL_OK) {
    if (waited == NARWHAL_AGAIN) loan.decline();
    return waited;
  }
  if (bytes.empty()) return NARWHAL_OK;  // as a chunk it would be the last
  const Push push = push_of_part(bytes.size(), static_cast<bool>(loan));
  try {
    append_part(bytes, loan);
  } catch (const std::bad_alloc&) {
    cut_off();
    return NARWHAL_ERROR;
  }
  took(bytes.size());
  hand_over(push, Last::no);
  return NARWHAL_OK;
}

// Counted when it is on its way, not before: what fails must be missed at the end.
void Exchange::took(std::uint64_t body_bytes) noexcept {
  if (framing_ == protocol::ResponseHead::Length::known) left_ -= body_bytes;
  body_sent_ += body_bytes;
}

int Exchange::send_file(int fd, std::int64_t offset, std::int64_t length) {
  using Length = protocol::ResponseHead::Length;
  if (gone()) return NARWHAL_GONE;
  if (answer_ != Answer::started) return NARWHAL_STATE;
  if (cut_) return NARWHAL_ERROR;
  if (const Result<Done> sendable = check_file(fd, offset, length); !sendable) {
    log::error("{} {}: send_file: {}", head.method.view(), head.target.view(), sendable.error());
    return NARWHAL_ERROR;
  }
  if (bodyless_) return NARWHAL_OK;
  const auto size = static_cast<std::uint64_t>(length);
  if (framing_ == Length::known && size > left_) return NARWHAL_STATE;
  if (const int waited = wait_for_room(!mount->is_inline()); waited == NARWHAL_GONE) return waited;
  if (size == 0) return NARWHAL_OK;
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    log::error("{} {}: send_file: duplicate the descriptor: {}", head.method.view(), head.target.view(),
               std::strerror(errno));
    return NARWHAL_ERROR;
  }
  Segment file{.size = size, .file = own, .offset = offset};
  try {
    if (framing_ == Length::chunked) {
      char line[protocol::chunk_line_bytes_max];
      append({line, protocol::encode_chunk_line(size, line)});
    }
    append_segment(std::exchange(file, {}));
    if (framing_ == Length::chunked) append_literal("\r\n");
  } catch (const std::bad_alloc&) {
    discard(file);
    cut_off();
    return NARWHAL_ERROR;
  }
  took(size);
  hand_over(Push::now, Last::no);
  return NARWHAL_OK;
}

int Exchange::trailers(const narwhal_field* fields, std::uint32_t count) {
  if (gone()) return NARWHAL_GONE;
  if (answer_ != Answer::started) return NARWHAL_STATE;
  if (const protocol::Fault fault = protocol::check_trailers(fields_of(fields), count)) return refuse(fault);
  if (framing_ != protocol::ResponseHead::Length::chunked || !takes_trailers()) return NARWHAL_OK;
  const std::size_t before = trailers_.size();
  trailers_.resize(before + protocol::trailers_bound(fields_of(fields), count));
  trailers_.resize(before + protocol::encode_trailers(fields_of(fields), count, trailers_.data() + before));
  return NARWHAL_OK;
}

int Exchange::finish() {
  using Length = protocol::ResponseHead::Length;
  if (gone()) {
    end_answer();
    return NARWHAL_GONE;
  }
  if (answer_ != Answer::started) return NARWHAL_STATE;
  if (framing_ == Length::chunked && !cut_) {
    try {
      append_end();
    } catch (const std::bad_alloc&) {
      cut_off();
    }
  }
  answer_ = Answer::finished;
  const bool short_of_length = framing_ == Length::known && left_ != 0 && !bodyless_;
  if (short_of_length && !cut_) {
    cut_ = true;
    log::error("{} {}: the response is {} bytes short of its declared length: connection closed", head.method.view(),
               head.target.view(), left_);
  }
  const bool was_cut = cut_;
  end_answer();  // from here on it may be somebody else's
  return short_of_length ? NARWHAL_STATE : was_cut ? NARWHAL_ERROR : NARWHAL_OK;
}

}  // namespace narwhal::worker
