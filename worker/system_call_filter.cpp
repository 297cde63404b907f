#include "worker/system_call_filter.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>

#include "core/log.hpp"
#include "core/system_calls.hpp"
#include "worker/signal_line.hpp"
#include "worker/system_call_learning.hpp"

namespace narwhal::worker {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
constexpr bool has_filter = true;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
constexpr bool has_filter = true;
#else
constexpr std::uint32_t architecture = 0;
constexpr bool has_filter = false;
#endif

// By name: not each architecture has each.
constexpr std::string_view always[] = {"accept4",
                                       "access",
                                       "arch_prctl",
                                       "brk",
                                       "clock_getres",
                                       "clock_gettime",
                                       "clock_nanosleep",
                                       "clone",
                                       "clone3",
                                       "close",
                                       "close_range",
                                       "dup",
                                       "dup2",
                                       "dup3",
                                       "epoll_create1",
                                       "epoll_ctl",
                                       "epoll_pwait",
                                       "epoll_pwait2",
                                       "epoll_wait",
                                       "eventfd2",
                                       "exit",
                                       "exit_group",
                                       "faccessat",
                                       "faccessat2",
                                       "fallocate",
                                       "fcntl",
                                       "fdatasync",
                                       "fstat",
                                       "fstatfs",
                                       "fsync",
                                       "ftruncate",
                                       "futex",
                                       "futex_waitv",
                                       "getcwd",
                                       "getdents64",
                                       "getegid",
                                       "geteuid",
                                       "getgid",
                                       "getgroups",
                                       "getpeername",
                                       "getpgid",
                                       "getpgrp",
                                       "getpid",
                                       "getppid",
                                       "getpriority",
                                       "getrandom",
                                       "getresgid",
                                       "getresuid",
                                       "getrlimit",
                                       "getrusage",
                                       "getsid",
                                       "getsockname",
                                       "getsockopt",
                                       "gettid",
                                       "gettimeofday",
                                       "getuid",
                                       "ioctl",
                                       "kill",
                                       "lseek",
                                       "lstat",
                                       "madvise",
                                       "membarrier",
                                       "memfd_create",
                                       "mmap",
                                       "mprotect",
                                       "mremap",
                                       "munmap",
                                       "nanosleep",
                                       "newfstatat",
                                       "open",
                                       "openat",
                                       "pipe",
                                       "pipe2",
                                       "poll",
                                       "ppoll",
                                       "prctl",
                                       "pread64",
                                       "preadv",
                                       "prlimit64",
                                       "pselect6",
                                       "pwrite64",
                                       "pwritev",
                                       "pwritev2",
                                       "read",
                                       "readlink",
                                       "readlinkat",
                                       "readv",
                                       "recvfrom",
                                       "recvmmsg",
                                       "recvmsg",
                                       "restart_syscall",
                                       "rseq",
                                       "rt_sigaction",
                                       "rt_sigpending",
                                       "rt_sigprocmask",
                                       "rt_sigqueueinfo",
                                       "rt_sigreturn",
                                       "rt_sigsuspend",
                                       "rt_sigtimedwait",
                                       "rt_tgsigqueueinfo",
                                       "sched_getaffinity",
                                       "sched_yield",
                                       "select",
                                       "sendfile",
                                       "sendmmsg",
                                       "sendmsg",
                                       "sendto",
                                       "set_robust_list",
                                       "set_tid_address",
                                       "setpgid",
                                       "setrlimit",
                                       "setsockopt",
                                       "shutdown",
                                       "sigaltstack",
                                       "socketpair",
                                       "splice",
                                       "stat",
                                       "statfs",
                                       "statx",
                                       "sysinfo",
                                       "tgkill",
                                       "time",
                                       "timerfd_create",
                                       "timerfd_settime",
                                       "umask",
                                       "uname",
                                       "unlink",
                                       "unlinkat",
                                       "wait4",
                                       "waitid",
                                       "write",
                                       "writev"};

constexpr auto relaxed = std::memory_order_relaxed;

// ---- the filter ----

std::vector<int> listed(const Generation& generation) {
  std::vector<int> numbers = generation.system_calls;
  for (const std::string_view name : always) {
    if (const auto number = system_call_number(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

sock_filter load(std::size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
sock_filter answer(std::uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }

// Calls of another architecture have other numbers: they are refused, or would bypass the list.
std::vector<sock_filter> program_for(const std::vector<int>& numbers, std::uint32_t otherwise) {
  std::vector<sock_filter> program{load(offsetof(seccomp_data, arch)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0),
                                   answer(SECCOMP_RET_ERRNO | EPERM), load(offsetof(seccomp_data, nr))};
  for (const int number : numbers) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
  }
  program.push_back(answer(otherwise));
  return program;
}

// A descriptor if `flags` ask for one, else 0.
Result<int> set_filter(const std::vector<int>& numbers, std::uint32_t otherwise, unsigned long flags) {
  std::vector<sock_filter> program = program_for(numbers, otherwise);
  sock_fprog given{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("seccomp: no_new_privs");
  // Without SPEC_ALLOW kernels before 5.16 slow everything down that has a filter.
  const long done = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &given);
  // A service's own filter may allow only the older call.
  if (done < 0 && errno == EPERM && flags == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &given) == 0) return 0;
  if (done < 0) return errno_error("seccomp: the kernel does not take the filter");
  return static_cast<int>(done);
}

// ---- what is refused ----

const char* list_file = "";
std::atomic<std::uint64_t> logged[16];  // a bit for each number below 1024

bool is_first(int number) noexcept {
  const auto bit = static_cast<unsigned>(number) % 1024;
  const std::uint64_t mask = std::uint64_t{1} << (bit % 64);
  return (logged[bit / 64].fetch_or(mask, relaxed) & mask) == 0;
}

void on_refused(int, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const int number = info->si_syscall;
  if (is_first(number)) {
    SignalLine line(LogLevel::error);
    line.add("seccomp: the system call ");
    const std::string_view name = system_call_name(number);
    if (name.empty()) {
      line.add(static_cast<std::uint64_t>(number));
    } else {
      line.add(name);
    }
    line.add(" is not in ")
        .add(list_file)
        .add(" and fails with EPERM; if the application needs it, add it there and send HUP");
    line.write_out();
  }
  [[maybe_unused]] auto* const interrupted = static_cast<ucontext_t*>(context);
#if defined(__x86_64__)
  interrupted->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
  interrupted->uc_mcontext.regs[0] = static_cast<unsigned long long>(-EPERM);
#endif
  errno = saved_errno;
}

}  // namespace

void log_refused_system_calls(const Generation& generation) noexcept {
  if (generation.config.seccomp != Seccomp::enforce) return;
  list_file = generation.config.seccomp_file.c_str();  // the generation outlives the process
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  action.sa_sigaction = on_refused;
  ::sigaction(SIGSYS, &action, nullptr);
}

Result<Done> restrict_system_calls(const Generation& generation, Fd learned) {
  const Seccomp mode = generation.config.seccomp;
  if (mode == Seccomp::off) return Done{};
  if (!has_filter) return Error{"seccomp: this build has no filter for its architecture: set seccomp to off"};
  if (mode == Seccomp::enforce) {
    log_refused_system_calls(generation);
    const auto set = set_filter(listed(generation), SECCOMP_RET_TRAP, 0);
    return set ? Result<Done>(Done{}) : Error{set.error()};
  }
  auto learning = begin_learning(std::move(learned), generation.system_calls);
  if (!learning) return Error{learning.error()};
  const auto listener = set_filter(listed(generation), SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (!listener) return Error{listener.error() + " (learn needs Linux 5.5)"};
  return give_listener(*learning, Fd(*listener));
}

}  // namespace narwhal::worker
