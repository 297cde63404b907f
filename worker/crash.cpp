#include "worker/crash.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

#include "worker/hang.hpp"
#include "worker/signal_line.hpp"
#include "worker/stack_trace.hpp"

namespace narwhal::worker {

namespace {

constexpr std::size_t stack_bytes = 64 * 1024;
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

// `record`: of the thread at fault.
void add_what_it_did(SignalLine& line, const Running* record) noexcept {
  if (is_in_hook()) return add_hook(line);
  if (!handles_request(record)) return void(line.add(" outside of a handler"));
  line.add(" while handling ");
  add_request(line, *record);
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

// Not if another process has sent the signal, because then any thread has received it; but a hang has its thread. Only
// the first signal: one that follows is a fault in the handler.
void note_crashed_thread(const siginfo_t& facts, const Hang& hang) noexcept {
  static std::atomic_flag is_noted;
  if (is_noted.test_and_set() || crashed_thread == nullptr) return;
  const bool is_own_fault = facts.si_code > 0 || facts.si_code == SI_TKILL;
  std::uint32_t thread = 0;
  if (hang.reporter != Hang::Reporter::none) {
    thread = hang.request != nullptr ? hang.thread : WorkerSlot::in_no_request;
  } else if (is_own_fault) {
    thread = is_in_hook() ? WorkerSlot::in_no_request : static_cast<std::uint32_t>(::syscall(SYS_gettid));
  }
  crashed_thread->store(thread, std::memory_order_relaxed);
}

// A function of its own, so that its line is off the stack when the frames are written.
[[gnu::noinline]] void write_crash(int signal_number, const Hang& hang) noexcept {
  const bool is_hang = hang.reporter != Hang::Reporter::none;
  SignalLine line(LogLevel::critical);
  line.add(process_name).add(" died of ").add(name_of(signal_number));
  if (is_hang && hang.request == nullptr) {
    add_hang(line);
  } else {
    add_what_it_did(line, is_hang ? hang.request : current_record);
  }
  if (hang.reporter == Hang::Reporter::substitute)
    line.add("; there is no stack: the thread that it hangs on takes no signals");
  line.write_out();
}

// Of the process in which a call of exit() is a plugin's; 0: it is our own.
std::atomic<pid_t> exit_refused_in{0};

[[gnu::noinline]] void write_exit(int status, const char* process) noexcept {
  SignalLine line(LogLevel::critical);
  line.add(process).add(" was ended by a call of exit(").add(static_cast<std::uint8_t>(status)).add(")");
  add_what_it_did(line, current_record);
  line.write_out();
}

// Static destructors do not run: other threads still use what they would destroy.
void on_exit_called(int status, void* process) {
  if (exit_refused_in.load() != ::getpid()) return;  // such as a child that a plugin has forked
  write_exit(status, static_cast<const char*>(process));
  write_stack(LogLevel::critical);
  std::fflush(nullptr);               // what plugins have printed
  ::_exit(status != 0 ? status : 1);  // 0 would say that it has left in good order
}

void on_crash(int signal_number, siginfo_t* facts, void*) {
  const Hang hang = signal_number == SIGABRT ? find_hang(*facts) : Hang{};
  if (hang.reporter == Hang::Reporter::other_thread) return;
  ::signal(signal_number, SIG_DFL);  // a fault in here must end the process too
  note_crashed_thread(*facts, hang);
  write_crash(signal_number, hang);
  if (hang.reporter != Hang::Reporter::substitute) write_stack(LogLevel::critical);
  ::raise(signal_number);
}

[[gnu::noinline]] void write_dump(LogLevel level) noexcept {
  SignalLine line(level);
  line.add("Stack of the thread that handles ");
  if (handles_request(current_record)) {
    add_request(line, *current_record);
  } else {
    line.add("no request");
  }
  line.write_out();
}

std::atomic<unsigned> dumps_under_way{0};

void on_dump(int, siginfo_t* facts, void*) {
  const int saved_errno = errno;
  const bool is_warning = facts->si_value.sival_int == static_cast<int>(LogLevel::warning);
  const LogLevel level = is_warning ? LogLevel::warning : LogLevel::critical;
  write_dump(level);
  write_stack(level);
  dumps_under_way.fetch_sub(1, std::memory_order_release);
  errno = saved_errno;
}

int dump_signal() noexcept { return SIGRTMIN + 3; }

}  // namespace

void install_crash_handlers(const char* process, const Generation& generation) noexcept {
  log_crashes(process, generation);
  log_calls_of_exit(process, generation);
}

void log_crashes(const char* process, const Generation& generation) noexcept {
  process_name = process;
  prepare_stack_traces(generation);
  struct sigaction action {};
  action.sa_flags = SA_RESTART | SA_ONSTACK | SA_NODEFER | SA_SIGINFO;
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

void log_calls_of_exit(const char* process, const Generation& generation) noexcept {
  prepare_stack_traces(generation);
  exit_refused_in = ::getpid();
  // Handlers run from the last to the first: what a template has registered does not run before this one.
  ::on_exit(on_exit_called, const_cast<char*>(process));
}

void permit_exit() noexcept { exit_refused_in = 0; }

void note_crashed_thread_in(std::atomic<std::uint32_t>& word) noexcept { crashed_thread = &word; }

void register_thread(Running* record) noexcept {
  current_record = record;
  record->thread_id.store(static_cast<std::uint32_t>(::syscall(SYS_gettid)), std::memory_order_relaxed);
  if (*process_name == '\0') return;  // no handlers that need it
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
  dumps_under_way.fetch_add(1, std::memory_order_relaxed);
  if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread_id, dump_signal(), &facts) != 0)
    dumps_under_way.fetch_sub(1, std::memory_order_relaxed);
}

void wait_for_dumps() noexcept {
  constexpr std::chrono::milliseconds pause{5}, most{1000};
  const Instant end = now() + most;
  while (dumps_under_way.load(std::memory_order_acquire) != 0 && now() < end) std::this_thread::sleep_for(pause);
}

unsigned count_threads() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/task"), ::closedir);
  if (folder == nullptr) return 1;
  unsigned count = 0;
  while (const dirent* entry = ::readdir(folder.get())) count += entry->d_name[0] != '.' ? 1 : 0;
  return count;
}

}  // namespace narwhal::worker
