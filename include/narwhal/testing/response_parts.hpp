// The calls of a plugin that make a response in parts: start(), write(), write_lent(), send_file(), finish().
// Threads    `lock` holds the exchange's mutex; a call that waits opens it meanwhile.
// Errors     the codes of plugin.h; std::bad_alloc.
#pragma once

#include <narwhal/testing/response_calls.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace narwhal::testing::detail {

// ---- a response in parts ----

inline int start(Exchange& exchange, const narwhal_response& response) {
  if (exchange.gone) return NARWHAL_GONE;
  if (exchange.stage == Stage::none && exchange.memory_is_out()) return NARWHAL_ERROR;
  const int result = begin(exchange, "start", response, response.body_size);
  if (result == NARWHAL_OK) exchange.shown = true;
  exchange.changed.notify_all();
  return result;
}

inline int wait_for_room(Exchange& exchange, Lock& lock, const char* call, bool may_wait) {
  if (has_room(exchange)) return NARWHAL_OK;
  if (exchange.site->is_inline() && may_wait) {
    exchange.breach(call,
                    "it would have to wait for a slow client, which an inline plugin never may, so that nothing was"
                    " taken: use NARWHAL_NOWAIT and look at the code");
    exchange.room_asked = true;
    return NARWHAL_AGAIN;
  }
  if (!may_wait) {
    exchange.room_asked = true;
    return NARWHAL_AGAIN;
  }
  const auto may_go_on = [&] { return exchange.takes_bytes || exchange.gone; };
  if (!exchange.changed.wait_for(lock, exchange.site->settings.patience, may_go_on)) {
    exchange.breach(call, "it has waited too long for its client: the test has to call read_on() or leave()");
    exchange.gone = true;
  }
  return exchange.gone ? NARWHAL_GONE : NARWHAL_OK;
}

// NARWHAL_OK: there may be another part, of this many bytes.
inline int check_part(const Exchange& exchange, const char* call, std::uint64_t bytes) {
  if (exchange.gone) return NARWHAL_GONE;
  if (exchange.stage != Stage::started) return misplaced(exchange, call, why_not_now(exchange));
  if (exchange.answer.cut) return NARWHAL_ERROR;
  if (exchange.framing.length != Length::known || bytes <= exchange.left || exchange.bodyless) return NARWHAL_OK;
  return misplaced(exchange, call,
                   std::to_string(bytes) + " bytes are more than the " + std::to_string(exchange.left) +
                       " that the declared length leaves");
}

inline void cut_off(Exchange& exchange) {
  if (std::exchange(exchange.answer.cut, true)) return;
  exchange.log(NARWHAL_LOG_ERROR, "out of memory: the response is cut off");
}

inline void take_part(Exchange& exchange, std::string_view bytes) {
  exchange.answer.body += bytes;
  if (exchange.framing.length == Length::known) exchange.left -= bytes.size();
  exchange.shown = true;
  exchange.changed.notify_all();
}

// What write() and write_lent() share. `taken`: the bytes are the host's.
inline int write_part(Exchange& exchange, Lock& lock, const char* call, narwhal_bytes bytes, std::uint32_t flags,
                      bool& taken) {
  if (++exchange.writes > exchange.asked.leaves_after && !exchange.gone) {
    exchange.gone = exchange.cancel_due = true;
    exchange.answer.client_left = true;
  }
  if ((flags & ~NARWHAL_NOWAIT) != 0) {
    const std::string why = "unknown flags: NARWHAL_NOWAIT is the only one";
    exchange.log(NARWHAL_LOG_ERROR, std::string(call) + "() does nothing: " + why);
    exchange.breach(call, why);
    return NARWHAL_REFUSED;
  }
  check_bytes(exchange, call, bytes);
  if (const int checked = check_part(exchange, call, bytes.size); checked != NARWHAL_OK) return checked;
  if (exchange.bodyless) return NARWHAL_OK;
  const bool may_wait = (flags & NARWHAL_NOWAIT) == 0;
  if (const int waited = wait_for_room(exchange, lock, call, may_wait); waited != NARWHAL_OK) return waited;
  if (bytes.size == 0) return NARWHAL_OK;
  if (exchange.memory_is_out()) {
    cut_off(exchange);
    return NARWHAL_ERROR;
  }
  take_part(exchange, view_of(bytes));
  taken = true;
  return NARWHAL_OK;
}

inline int write(Exchange& exchange, Lock& lock, narwhal_bytes bytes, std::uint32_t flags) {
  bool taken = false;
  return write_part(exchange, lock, "write", bytes, flags, taken);
}

inline int write_lent(Exchange& exchange, Lock& lock, narwhal_bytes bytes, std::uint32_t flags, void (*release)(void*),
                      void* release_arg) {
  if (release == nullptr) exchange.breach("write_lent", "without a release function: use write()");
  bool taken = false;
  const int result = write_part(exchange, lock, "write_lent", bytes, flags, taken);
  if (release == nullptr || result == NARWHAL_AGAIN) return result;
  if (taken) {
    exchange.lent.push_back({bytes, std::string(view_of(bytes)), release, release_arg, "write_lent", Clock::now()});
    return result;
  }
  lock.unlock();
  guarded_hook(exchange.site, "the release() of write_lent()", [&] { release(release_arg); });
  lock.lock();
  return result;
}

// Why this part of the file cannot be sent; empty: it can.
inline std::string file_fault(int fd, std::int64_t offset, std::int64_t length) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return std::string("look at the descriptor: ") + std::strerror(errno);
  if (!S_ISREG(facts.st_mode)) return "not a regular file";
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY) return "not open for reading";
  if (offset >= 0 && length >= 0 && offset <= facts.st_size && length <= facts.st_size - offset) return "";
  return std::to_string(length) + " bytes from " + std::to_string(offset) + " on, of a file of " +
         std::to_string(facts.st_size);
}

inline std::string file_part(int fd, std::int64_t offset, std::int64_t length) {
  std::string bytes(static_cast<std::size_t>(length), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got =
        ::pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(offset) + static_cast<off_t>(have));
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

inline int send_file(Exchange& exchange, Lock& lock, int fd, std::int64_t offset, std::int64_t length) {
  const char* const call = "send_file";
  if (const int checked = check_part(exchange, call, 0); checked != NARWHAL_OK) return checked;
  if (const std::string fault = file_fault(fd, offset, length); !fault.empty()) {
    exchange.log(NARWHAL_LOG_ERROR, "send_file: " + fault);
    return NARWHAL_ERROR;
  }
  if (exchange.bodyless) return NARWHAL_OK;
  const auto size = static_cast<std::uint64_t>(length);
  if (const int checked = check_part(exchange, call, size); checked != NARWHAL_OK) return checked;
  if (!exchange.site->is_inline() && wait_for_room(exchange, lock, call, true) == NARWHAL_GONE) return NARWHAL_GONE;
  if (size == 0) return NARWHAL_OK;
  if (exchange.memory_is_out()) {
    cut_off(exchange);
    return NARWHAL_ERROR;
  }
  take_part(exchange, file_part(fd, offset, length));
  return NARWHAL_OK;
}

inline int finish(Exchange& exchange, Lock& lock) {
  if (exchange.gone) {
    end_answer(exchange, lock);
    return NARWHAL_GONE;
  }
  if (exchange.stage != Stage::started) return misplaced(exchange, "finish", why_not_now(exchange));
  exchange.stage = Stage::finished;
  const bool is_short = exchange.framing.length == Length::known && exchange.left != 0 && !exchange.bodyless;
  const bool was_cut = exchange.answer.cut;
  if (is_short && !was_cut) {
    exchange.answer.cut = true;
    const std::string left = std::to_string(exchange.left);
    exchange.log(NARWHAL_LOG_ERROR,
                 "the response is " + left + " bytes short of its declared length: connection closed");
    exchange.breach("finish", "the response is " + left + " bytes short of its declared length");
  }
  exchange.answer.complete = !exchange.answer.cut;
  end_answer(exchange, lock);
  return is_short ? NARWHAL_STATE : was_cut ? NARWHAL_ERROR : NARWHAL_OK;
}

}  // namespace narwhal::testing::detail
