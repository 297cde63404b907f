#include "worker/crash.hpp"

#include <dirent.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "core/fd.hpp"
#include "core/log.hpp"
#include "worker/signal_line.hpp"

namespace narwhal::worker {

namespace {

constexpr int frames_max = 64;
constexpr std::size_t stack_bytes = 64 * 1024;
constexpr std::size_t piece_bytes = 1024;  // at a time: Python's alternate stack has 16 KiB for all of a handler
thread_local Running* current_record = nullptr;
const char* process_name = "";
std::atomic<std::uint32_t>* crashed_thread = nullptr;

bool handles_request(const Running* record) noexcept {
  return record != nullptr && record->started.load(std::memory_order_relaxed) != Running::idle;
}

void add_request(SignalLine& line, const Running& record) noexcept {
  line.add({record.method, std::min<std::size_t>(record.method_size, sizeof record.method)}).add(" ");
  line.add({record.target, std::min<std::size_t>(record.target_size, sizeof record.target)});
}

void write_stack(LogLevel level) noexcept {
  void* frames[frames_max];
  const int count = ::backtrace(frames, frames_max);
  // Not straight to the log, which is written to without waiting, and in which a line may have a mark.
  const Fd text(::memfd_create("narwhal-stack", MFD_CLOEXEC));
  if (!text) return ::backtrace_symbols_fd(frames, count, log::descriptor());
  ::backtrace_symbols_fd(frames, count, text.get());
  char bytes[piece_bytes];
  off_t at = 0;
  for (ssize_t size; (size = ::pread(text.get(), bytes, sizeof bytes, at)) > 0;) {
    const std::string_view piece{bytes, static_cast<std::size_t>(size)};
    const std::size_t end = piece.rfind('\n');  // whole lines, if there is one
    const std::string_view lines = piece.substr(0, end == std::string_view::npos ? piece.size() : end + 1);
    log::write_in_signal_handler(level, lines);
    at += static_cast<off_t>(lines.size());
  }
}

const char* name_of(int signal_number) noexcept {
  switch (signal_number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    default: return "SIGABRT";
  }
}

// Not if another process has sent the signal: then any thread has received it.
void note_crashed_thread(const siginfo_t& facts) noexcept {
  const bool is_own_fault = facts.si_code > 0 || facts.si_code == SI_TKILL;
  if (is_own_fault && crashed_thread != nullptr)
    crashed_thread->store(static_cast<std::uint32_t>(::syscall(SYS_gettid)), std::memory_order_relaxed);
}

void on_crash(int signal_number, siginfo_t* facts, void*) {
  ::signal(signal_number, SIG_DFL);  // a fault in here must end the process too
  note_crashed_thread(*facts);
  SignalLine line(LogLevel::critical);
  line.add(process_name).add(" died of ").add(name_of(signal_number));
  if (handles_request(current_record)) {
    line.add(" while handling ");
    add_request(line, *current_record);
  } else {
    line.add(" outside of a request");
  }
  line.write_out();
  write_stack(LogLevel::critical);
  ::raise(signal_number);
}

void on_dump(int, siginfo_t* facts, void*) {
  const int saved_errno = errno;
  const bool is_warning = facts->si_value.sival_int == static_cast<int>(LogLevel::warning);
  const LogLevel level = is_warning ? LogLevel::warning : LogLevel::critical;
  SignalLine line(level);
  line.add("Stack of the thread that handles ");
  if (handles_request(current_record)) {
    add_request(line, *current_record);
  } else {
    line.add("no request");
  }
  line.write_out();
  write_stack(level);
  errno = saved_errno;
}

int dump_signal() noexcept { return SIGRTMIN + 3; }

}  // namespace

void install_crash_handlers(const char* process) noexcept {
  process_name = process;
  void* frames[1];
  ::backtrace(frames, 1);  // loads the unwinder now: later there may be no memory, or a lock held
  struct sigaction action {};
  action.sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO;
  action.sa_sigaction = on_crash;
  for (const int signal_number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction before {};
    ::sigaction(signal_number, nullptr, &before);
    // A sanitizer's own handler says more than ours.
    if (before.sa_handler == SIG_DFL) ::sigaction(signal_number, &action, nullptr);
  }
  action.sa_flags = SA_RESTART | SA_ONSTACK | SA_SIGINFO;
  action.sa_sigaction = on_dump;
  ::sigaction(dump_signal(), &action, nullptr);
}

void note_crashed_thread_in(std::atomic<std::uint32_t>& word) noexcept { crashed_thread = &word; }

void register_thread(Running* record) noexcept {
  current_record = record;
  record->thread_id.store(static_cast<std::uint32_t>(::syscall(SYS_gettid)), std::memory_order_relaxed);
  stack_t before{};
  if (::sigaltstack(nullptr, &before) == 0 && (before.ss_flags & SS_DISABLE) == 0) return;  // a sanitizer's
  // From the heap, and never freed: a handler may still run on it when the thread ends.
  stack_t own{};
  own.ss_size = stack_bytes;
  own.ss_sp = std::malloc(stack_bytes);
  if (own.ss_sp != nullptr) ::sigaltstack(&own, nullptr);
}

void dump_thread(std::uint32_t thread_id, LogLevel level) noexcept {
  siginfo_t facts{};
  facts.si_signo = dump_signal();
  facts.si_code = SI_QUEUE;
  facts.si_pid = ::getpid();
  facts.si_uid = ::getuid();
  facts.si_value.sival_int = static_cast<int>(level);
  ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread_id, dump_signal(), &facts);
}

unsigned count_threads() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/task"), ::closedir);
  if (folder == nullptr) return 1;
  unsigned count = 0;
  while (const dirent* entry = ::readdir(folder.get())) count += entry->d_name[0] != '.' ? 1 : 0;
  return count;
}

}  // namespace narwhal::worker
