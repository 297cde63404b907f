#include "core/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>

#include "core/escape.hpp"
#include "core/write_all.hpp"

namespace narwhal::log {
namespace {

// The length of a line's text. More is cut, so that no caller can flood the log with one call.
constexpr std::size_t text_bytes_max = 32 * 1024;

std::atomic<int> target_fd{STDERR_FILENO};
std::atomic<LogLevel> lowest{LogLevel::info};
std::string target_path;  // absolute; empty: stderr. Only open() writes it, before there are threads
bool is_output_captured = false;
std::atomic<int> collector{-1};           // a socket to the log process
std::atomic<bool> collector_waits{true};  // whether a line may wait for that process: not again while it takes none
constexpr int collector_wait_ms = 100;

constexpr std::string_view level_names[] = {"TRACE", "DEBUG",    "INFO", "WARNING",
                                            "ERROR", "CRITICAL", "OFF"};  // spdlog's

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
    case LogLevel::critical: break;
  }
  return spdlog::level::critical;
}

class LevelName : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& line) override {
    const std::string_view name = level_names[message.level];
    line.append(name.data(), name.data() + name.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelName>(); }
};

// "+0000", as in Gunicorn; spdlog's own %z contains a colon.
class ZoneOffset : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm& time, spdlog::memory_buf_t& line) override {
    const long minutes = std::labs(time.tm_gmtoff) / 60;
    const char sign = time.tm_gmtoff < 0 ? '-' : '+';
    fmt::format_to(std::back_inserter(line), "{}{:02}{:02}", sign, minutes / 60, minutes % 60);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<ZoneOffset>(); }
};

std::unique_ptr<spdlog::formatter> make_formatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelName>('*').add_flag<ZoneOffset>('?');
  formatter->set_pattern("[%Y-%m-%d %H:%M:%S %?] [%P] [%*] %v");
  return formatter;
}

void write_out(std::string_view text) noexcept {
  // A full disk or a closed pipe: there is nowhere left to report it.
  [[maybe_unused]] const bool written = write_all(target_fd.load(std::memory_order_relaxed), text);
}

// One write(2) per line. spdlog's own file sinks use stdio, which splits lines longer than its buffer, and a mutex,
// which a fork in another thread would leave locked in the child. Here each thread formats for itself and the kernel
// serialises: nothing is shared, so there is nothing to lock.
class OneWriteSink : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    thread_local const std::unique_ptr<spdlog::formatter> formatter = make_formatter();
    spdlog::memory_buf_t line;
    formatter->format(message, line);
    write_out({line.data(), line.size()});
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
};

// For when memory is exhausted, because a log line is needed most then: made on the stack, in the same format, with
// control bytes as '?'.
void write_frugally(LogLevel level, std::string_view text) noexcept try {
  char line[1024];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char* const text_end = line + sizeof line - 1;
  char* at = line + std::strftime(line, sizeof line, "[%Y-%m-%d %H:%M:%S %z] ", &local);
  at = fmt::format_to_n(at, text_end - at, "[{}] [{}] ", ::getpid(), level_names[to_spdlog(level)]).out;
  const std::size_t count = std::min(text.size(), static_cast<std::size_t>(text_end - at));
  const auto shown = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c; };
  at = std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(count), at, shown);
  *at++ = '\n';
  write_out({line, static_cast<std::size_t>(at - line)});
} catch (...) {
  // A lost line must not end the process.
}

// False: the log process does not take it.
bool send_to_collector(std::string_view record) noexcept {
  const int socket = collector.load(std::memory_order_relaxed);
  LogDelivery sent = send_log_message(socket, record);
  if (sent == LogDelivery::full && collector_waits.load(std::memory_order_relaxed)) {
    pollfd writable{socket, POLLOUT, 0};
    ::poll(&writable, 1, collector_wait_ms);
    sent = send_log_message(socket, record);
  }
  collector_waits.store(sent != LogDelivery::full, std::memory_order_relaxed);
  return sent == LogDelivery::yes;
}

bool is_collected(LogLevel level, std::string_view line, std::string_view trace) {
  if (collector.load(std::memory_order_relaxed) < 0) return false;
  return send_to_collector(error_log_record(level, line, trace, !enabled(level)));
}

// Never destroyed: a thread may still log while the process exits.
spdlog::logger& logger() {
  static spdlog::logger* const only = [] {
    auto* made = new spdlog::logger("narwhal", std::make_shared<OneWriteSink>());
    made->set_level(spdlog::level::trace);                       // enabled() decides, before anything is formatted
    made->set_error_handler([](const std::string&) { throw; });  // called in its catch clause: write() handles it
    return made;
  }();
  return *only;
}

}  // namespace

Result<Fd> open_file(const std::string& path) {
  // O_APPEND: master and workers write to one file, and each write is appended whole.
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644));
  if (!file) return errno_error("open log " + path);
  // Only the opening must not wait: a line must not be lost because a FIFO is full.
  if (::fcntl(file.get(), F_SETFL, O_APPEND) < 0) return errno_error("open log " + path);
  return file;
}

Result<Done> open(const std::string& target, LogLevel level) {
  if (target.empty()) return Error{"open log: no file name"};
  std::string path;
  Fd file;
  if (target != "-") {
    std::error_code failure;
    path = std::filesystem::absolute(target, failure).string();  // reopen() may come after a chdir
    if (failure) return Error{"open log " + target + ": " + failure.message()};
    auto opened = open_file(path);
    if (!opened) return Error{opened.error()};
    file = std::move(*opened);
  }
  target_path = std::move(path);
  lowest = level;
  Fd former(target_fd.exchange(file ? file.release() : STDERR_FILENO));
  if (former.get() == STDERR_FILENO) former.release();  // not owned by the log
  return Done{};
}

Result<Done> capture_output() {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(target_fd, stream) < 0) return errno_error("capture_output");
  }
  is_output_captured = true;
  return Done{};
}

Result<Done> reopen() {
  if (target_path.empty()) return Done{};
  const auto file = open_file(target_path);
  if (!file) return Error{file.error()};
  return follow(*file);
}

Result<Done> follow(const Fd& file) {
  if (target_path.empty()) return Done{};
  // The number stays, so threads that are writing and users of descriptor() are not disturbed.
  if (::dup3(file.get(), target_fd, O_CLOEXEC) < 0) return errno_error("reopen log " + target_path);
  if (is_output_captured) return capture_output();
  return Done{};
}

State state() { return {target_path, target_fd, collector, lowest, is_output_captured}; }

void resume(const State& state) {
  target_path = state.target;
  target_fd = state.descriptor;
  collector = state.collector;
  lowest = state.level;
  is_output_captured = state.is_output_captured;
}

int descriptor() noexcept { return target_fd.load(std::memory_order_relaxed); }

bool enabled(LogLevel level) noexcept { return level >= lowest.load(std::memory_order_relaxed); }

void collect(int socket) noexcept { collector.store(socket, std::memory_order_relaxed); }

void metric(const LogMetric& metric, std::string_view text) noexcept try {
  if (collector.load(std::memory_order_relaxed) < 0) return;
  [[maybe_unused]] const bool sent = send_to_collector(error_log_record(LogLevel::debug, text, {}, false, &metric));
} catch (...) {
  // A metric that is lost for want of memory is the least of the problems then.
}

void write(LogLevel level, std::string_view text) noexcept try {
  if (!is_collected(level, text, {})) write_to_target(level, text);
} catch (...) {
  write_frugally(level, text);
}

void write_to_target(LogLevel level, std::string_view text) noexcept try {
  std::string line;
  line.reserve(text.size() + 16);
  if (!append_escaped(line, text, text_bytes_max)) line += " [cut]";
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
} catch (...) {
  write_frugally(level, text);
}

void write_formatted(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept try {
  fmt::memory_buffer text;  // on the stack, except for long lines
  fmt::vformat_to(std::back_inserter(text), format, arguments);
  write(level, {text.data(), text.size()});
} catch (...) {
  write_frugally(level, {format.data(), format.size()});
}

void write(LogLevel level, std::string_view line, std::string_view text) noexcept try {
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (!line.empty() && is_collected(level, line, text)) return;
  std::string piece;
  piece.reserve(line.size() + text.size() + 16);
  if (!line.empty()) {
    if (!append_escaped(piece, line, text_bytes_max)) piece += " [cut]";
    piece += '\n';
  }
  piece += text;
  if (line.empty()) {
    piece += '\n';
    return write_out(piece);
  }
  logger().log(to_spdlog(level), spdlog::string_view_t(piece.data(), piece.size()));
} catch (...) {
  write_frugally(level, line.empty() ? text : line);
}

}  // namespace narwhal::log
