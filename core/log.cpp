#include "core/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
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
#include "core/log_output.hpp"
#include "core/log_writer.hpp"
#include "core/recent_problems.hpp"
#include "core/start_output.hpp"

namespace narwhal::log {
namespace {

// The length of a line's text. More is cut, so that no caller can flood the log with one call.
constexpr std::size_t text_bytes_max = 32 * 1024;

std::atomic<LogOutput> the_output{LogOutput{STDERR_FILENO}};
static_assert(std::atomic<LogOutput>::is_always_lock_free);
LogWriter writer;
std::atomic<std::uint64_t> adopted{0};
std::atomic<Instant> adopted_due{Instant{}};
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

LogLevel from_spdlog(spdlog::level::level_enum level) {
  for (const LogLevel ours : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    if (to_spdlog(ours) == level) return ours;
  }
  return LogLevel::critical;
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

// syslog(3)'s, as the journal reads them at the beginning of a line.
std::string_view priority_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug: return "<7>";
    case LogLevel::info: return "<6>";
    case LogLevel::warning: return "<4>";
    case LogLevel::error: return "<3>";
    case LogLevel::critical: break;
  }
  return "<2>";
}

// Whole lines, none of which is empty at the end.
void write_out(LogLevel level, std::string_view lines) {
  report_dropped();
  const LogOutput output = the_output.load(std::memory_order_relaxed);
  if (!output.is_journal) {
    writer.put(output, lines);
    return;
  }
  std::string marked;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
    marked.append(priority_of(level)).append(lines.substr(0, end));
    lines.remove_prefix(end);
  }
  writer.put(output, marked);
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
    write_out(from_spdlog(message.level), {line.data(), line.size()});
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
};

// For when memory is exhausted, because a log line is needed most then: made on the stack, in the same format, with
// control bytes as '?'.
bool write_frugally(LogLevel level, std::string_view text,
                    LogWriter::IfDropped dropped = LogWriter::IfDropped::count) noexcept try {
  char line[1024];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char* const text_end = line + sizeof line - 1;
  const LogOutput output = the_output.load(std::memory_order_relaxed);
  char* at = line + (output.is_journal ? priority_of(level).copy(line, 3) : 0);
  at += std::strftime(at, sizeof line - 3, "[%Y-%m-%d %H:%M:%S %z] ", &local);
  at = fmt::format_to_n(at, text_end - at, "[{}] [{}] ", ::getpid(), level_names[to_spdlog(level)]).out;
  const std::size_t count = std::min(text.size(), static_cast<std::size_t>(text_end - at));
  const auto shown = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c; };
  at = std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(count), at, shown);
  *at++ = '\n';
  return writer.put(output, {line, static_cast<std::size_t>(at - line)}, dropped);
} catch (...) {
  return false;  // a lost line must not end the process
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

bool write_count(std::uint64_t lines, std::string_view subject, std::string_view why) noexcept {
  char text[256];
  const auto end = fmt::format_to_n(text, sizeof text, "{} {} dropped: {}", lines, subject, why);
  const std::string_view line(text, std::min(end.size, sizeof text));
  if (!write_frugally(LogLevel::warning, line, LogWriter::IfDropped::do_not_count)) return false;
  note_problem(LogLevel::warning, line);
  return true;
}

// It needs no reopening, for which a process may have no right any more.
bool is_same_fifo(int one, int other) noexcept {
  struct stat first {
  }, second{};
  return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && S_ISFIFO(first.st_mode) &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
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

Result<Done> open(const std::string& target, LogLevel level) {
  if (target.empty()) return Error{"open log: no file name"};
  std::string path;
  Fd file;
  if (target != "-") {
    std::error_code failure;
    path = std::filesystem::absolute(target, failure).string();  // reopen() may come after a chdir
    if (failure) return Error{"open log " + target + ": " + failure.message()};
    auto opened = open_log_file(path);
    if (!opened) return Error{opened.error()};
    file = std::move(*opened);
  } else if (!start_output::has(STDERR_FILENO)) {  // that one is replaced when the start is over
    file = open_own_description(STDERR_FILENO);
  }
  target_path = std::move(path);
  lowest = level;
  LogOutput output = LogOutput::of(file ? file.release() : STDERR_FILENO);
  output.is_journal = output.is_journal && target_path.empty();
  Fd former(the_output.exchange(output).fd);
  if (former.get() == STDERR_FILENO) former.release();  // not owned by the log
  return Done{};
}

std::string_view standard_error_mark(LogLevel level) noexcept {
  return LogOutput::of(STDERR_FILENO).is_journal ? priority_of(level) : std::string_view();
}

Result<Done> capture_output() {
  is_output_captured = true;
  if (target_path.empty())
    return ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? Result<Done>(errno_error("capture_output")) : Done{};
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (!redirect_stream(stream, descriptor())) return errno_error("capture_output");
  }
  return Done{};
}

void redirect_standard_error() noexcept {
  if (!target_path.empty()) redirect_stream(STDERR_FILENO, descriptor());
}

Result<Done> reopen() {
  if (target_path.empty()) return Done{};
  const auto file = open_log_file(target_path);
  if (!file) return Error{file.error()};
  return follow(*file);
}

Result<Done> follow(const Fd& file) {
  if (target_path.empty()) return Done{};
  // The number stays, so threads that are writing and users of descriptor() are not disturbed.
  const int number = descriptor();
  if (is_same_fifo(file.get(), number)) return Done{};
  if (::dup3(file.get(), number, O_CLOEXEC) < 0) return errno_error("reopen log " + target_path);
  LogOutput output = LogOutput::of(number);
  output.is_journal = false;
  the_output = output;
  if (is_output_captured) return capture_output();
  return Done{};
}

State state() {
  const LogOutput output = the_output;
  return {target_path, output.fd, collector, lowest, is_output_captured, output.is_journal};
}

void resume(const State& state) {
  target_path = state.target;
  LogOutput output = LogOutput::of(state.descriptor);
  output.is_journal = state.is_journal;
  the_output = output;
  collector = state.collector;
  lowest = state.level;
  is_output_captured = state.is_output_captured;
}

int descriptor() noexcept { return the_output.load(std::memory_order_relaxed).fd; }

bool enabled(LogLevel level) noexcept { return level >= lowest.load(std::memory_order_relaxed); }

void collect(int socket) noexcept { collector.store(socket, std::memory_order_relaxed); }

void metric(const LogMetric& metric, std::string_view text) noexcept try {
  if (collector.load(std::memory_order_relaxed) < 0) return;
  [[maybe_unused]] const bool sent = send_to_collector(error_log_record(LogLevel::debug, text, {}, false, &metric));
} catch (...) {
  // A metric that is lost for want of memory is the least of the problems then.
}

void write(LogLevel level, std::string_view text) noexcept try {
  if (!is_collected(level, text, {})) return write_to_target(level, text);
  note_problem(level, text);
} catch (...) {
  write_frugally(level, text);
}

void write_to_target(LogLevel level, std::string_view text) noexcept try {
  note_problem(level, text);
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
  note_problem(level, line.empty() ? text.substr(0, text.find('\n')) : line);
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
    return write_out(level, piece);
  }
  logger().log(to_spdlog(level), spdlog::string_view_t(piece.data(), piece.size()));
} catch (...) {
  write_frugally(level, line.empty() ? text : line);
}

void write_in_signal_handler(LogLevel level, std::string_view lines) noexcept {
  const LogOutput output = the_output.load(std::memory_order_relaxed);
  if (!output.is_journal) return void(writer.put(output, lines));
  char line[1024];  // on the handler's stack: a longer line is cut
  const std::size_t mark = priority_of(level).copy(line, 3);
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
    const std::size_t count = lines.substr(0, end - 1).copy(line + mark, sizeof line - mark - 1);
    line[mark + count] = '\n';
    writer.put(output, {line, mark + count + 1});
    lines.remove_prefix(end);
  }
}

// ---- lines that were dropped ----

bool write_if_possible(LogLevel level, std::string_view text) noexcept try {
  return is_collected(level, text, {}) || write_frugally(level, text, LogWriter::IfDropped::do_not_count);
} catch (...) {
  return false;
}

std::uint64_t dropped() noexcept { return writer.dropped(); }
std::uint64_t unreported() noexcept { return writer.unreported(); }
void adopt_unreported(std::uint64_t lines) noexcept { adopted.fetch_add(lines, std::memory_order_relaxed); }

Instant report_due() noexcept {
  return adopted.load(std::memory_order_relaxed) != 0 ? std::min(adopted_due.load(), writer.report_due())
                                                      : writer.report_due();
}

void report_dropped() noexcept {
  if (report_due() == never) [[likely]]
    return;
  const Instant now = narwhal::now();
  if (const LogWriter::Report report = writer.take_report(now); report.lines != 0) {
    const bool is_one = report.lines == 1;
    if (!write_count(report.lines, is_one ? "line of the error log was" : "lines of the error log were",
                     reason_of_drop(report.reason)))
      writer.report_failed(report, now);
  }
  if (now < adopted_due.load()) return;
  adopted_due = now + std::chrono::seconds{5};
  const std::uint64_t lines = adopted.exchange(0);
  if (lines == 0 || write_count(lines, "log lines of workers that have ended were", "they were not taken in time"))
    return;
  adopted.fetch_add(lines);
  adopted_due = now + std::chrono::seconds{1};
}

void begin_process() noexcept {
  writer.begin_process();
  remember_problems(0);
}

}  // namespace narwhal::log
