#include "worker/signal_line.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/civil_time.hpp"
#include "core/log.hpp"

namespace narwhal::worker {

namespace {

char printable(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c; }

}  // namespace

SignalLine::SignalLine(LogLevel level) noexcept : level_(level) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const CivilTime time = civil_time(now.tv_sec);
  add("[").add(time.year, 4).add("-").add(time.month, 2).add("-").add(time.day, 2);
  add(" ").add(time.hour, 2).add(":").add(time.minute, 2).add(":").add(time.second, 2);
  add(" +0000] [").add(static_cast<std::uint64_t>(::getpid()));
  add(level == LogLevel::critical ? "] [CRITICAL] " : level == LogLevel::error ? "] [ERROR] " : "] [WARNING] ");
}

SignalLine& SignalLine::add(std::string_view text) noexcept {
  const std::size_t count = std::min(text.size(), sizeof text_ - size_);
  for (std::size_t at = 0; at < count; ++at) text_[size_++] = printable(text[at]);
  return *this;
}

SignalLine& SignalLine::add(std::uint64_t number, int width) noexcept {
  char digits[20];
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0 || count < static_cast<std::size_t>(width));
  std::reverse(digits, digits + count);
  return add({digits, count});
}

void SignalLine::write_out() noexcept {
  if (size_ == sizeof text_) --size_;
  text_[size_++] = '\n';
  log::write_in_signal_handler(level_, {text_, size_});
  size_ = 0;
}

// ---- SignalText ----

SignalText::~SignalText() { write_lines(); }

SignalText& SignalText::add(std::string_view text) noexcept {
  for (const char c : text) {
    if (size_ == sizeof text_ - 1) write_lines();
    if (size_ == sizeof text_ - 1) break;
    text_[size_++] = printable(c);
  }
  return *this;
}

SignalText& SignalText::add_hex(std::uint64_t number) noexcept {
  char digits[16];
  std::size_t at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[number % 16];
    number /= 16;
  } while (number != 0);
  return add({digits + at, sizeof digits - at});
}

void SignalText::end_line() noexcept {
  text_[size_++] = '\n';
  begin_ = size_;
  if (size_ == sizeof text_) write_lines();
}

void SignalText::write_lines() noexcept {
  if (begin_ == 0) return;
  log::write_in_signal_handler(level_, {text_, begin_});
  size_ -= begin_;
  std::memmove(text_, text_ + begin_, size_);
  begin_ = 0;
}

}  // namespace narwhal::worker
