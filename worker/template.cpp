// The template: loads a generation's plugins once, and forks its workers.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/child.hpp"
#include "core/log.hpp"
#include "core/signals.hpp"
#include "worker/crash.hpp"
#include "worker/extensions.hpp"
#include "worker/forked_children.hpp"
#include "worker/plugin.hpp"
#include "worker/run_worker.hpp"
#include "worker/system_call_filter.hpp"
#include "worker/watched_files.hpp"
#include "worker/worker.hpp"

namespace narwhal::worker {

namespace {

class Template {
 public:
  explicit Template(TemplateSeat seat) : seat_(std::move(seat)), code_files_(std::move(seat_.code_files)) {}

  int run() {
    install_crash_handlers("Template", *seat_.generation);
    if (const auto restricted = restrict_system_calls(); !restricted) {
      send_report(Report::failed, restricted.error(), exit_boot_failed);
      return exit_boot_failed;
    }
    prepare_for_forked_children(seat_.listeners);
    if (seat_.generation->config.reload) report_watched_files({seat_.master.get(), 0, seat_.generation->number});
    open_numbers(*seat_.scoreboard);
    begin_set_up(&code_files_);  // an earlier template of the generation may have loaded other files
    HookResult done = load();
    if (done) done = preload_all();
    if (done) {
      open_relay();
      return_to_group_of_master();
      send_report(Report::loaded);
      run_orders();
    } else {
      send_report(Report::failed, done.error(), done.exit_code);
    }
    exit_all();
    return done ? 0 : done.exit_code;
  }

 private:
  Result<Done> restrict_system_calls() {
    const Config& config = seat_.generation->config;
    if (config.seccomp == Seccomp::learn)
      log::warning("seccomp: learning: every system call is allowed, and new ones are added to {}",
                   config.seccomp_file);
    return worker::restrict_system_calls(*seat_.generation, std::move(seat_.learned_calls));
  }

  HookResult load() {
    auto mounts = load_plugins(*seat_.generation, [this](std::string_view step) { send_report(Report::step, step); });
    if (!mounts) return no_app(mounts.error());
    mounts_ = std::move(*mounts);
    return Done{};
  }

  HookResult preload_all() {
    const Config& config = seat_.generation->config;
    for (const auto& mount : mounts_) {
      // Python's interpreter is this process, and must know of each fork. A gunicorn.conf.py is run here once for all
      // workers, as in Gunicorn.
      if (!config.preload_app && !mount->is_python) continue;
      send_report(Report::step, "preload of " + mount->source, exit_boot_failed);
      HookResult done = preload(*mount, {-1, config.threads, config.workers, seat_.generation->number});
      if (!done) return done;
    }
    return Done{};
  }

  static HookResult no_app(const std::string& reason) {
    HookResult failed = Error{reason};
    failed.exit_code = exit_app_failed;
    return failed;
  }

  // Without it workers still serve, and a request that waits for a busy handler just waits.
  void open_relay() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return;
    relay_give_ = Fd(ends[0]);
    relay_take_ = Fd(ends[1]);
  }

  // Returns when the master has closed its socket: after the last worker has ended.
  void run_orders() {
    while (true) {
      pollfd wait{.fd = seat_.master.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, log::report_due() == never ? -1 : 1000) < 0 && errno != EINTR) return;
      log::report_dropped();
      while (true) {
        Received received = receive_record(seat_.master.get());
        if (received.status == Received::Status::nothing_yet) break;
        if (received.status == Received::Status::gone) return;
        const auto order = static_cast<Order>(received.record.kind);
        if (order == Order::leave) close_sockets();
        if (order == Order::spawn && received.fd) spawn(received.record.slot, std::move(received.fd));
        if (order == Order::error_log) log_if_failed(log::follow(received.fd));
        if (order == Order::access_log && seat_.access_log >= 0 &&
            ::dup3(received.fd.get(), seat_.access_log, O_CLOEXEC) < 0) {
          log_if_failed(errno_error("reopen the access log"));
        }
      }
    }
  }

  // It forks no more. When the workers have closed their copies too, new clients are refused.
  void close_sockets() {
    for (const Listener* listener : seat_.listeners) ::close(listener->fd.get());
    seat_.listeners.clear();
    relay_give_ = Fd();
    relay_take_ = Fd();
  }

  // In the order of before_fork().
  void exit_all() {
    for (auto mount = mounts_.rbegin(); mount != mounts_.rend(); ++mount) {
      const narwhal_plugin& plugin = (*mount)->plugin;
      if ((*mount)->preloaded && plugin.template_exit != nullptr) plugin.template_exit((*mount)->instance);
    }
  }

  static void log_if_failed(const Result<Done>& done) {
    if (!done) log::error("{}", done.error());
  }

  // In the order of pthread_atfork(): the last mounted first before the fork, and last after it.
  void before_fork() {
    for (auto mount = mounts_.rbegin(); mount != mounts_.rend(); ++mount) {
      const narwhal_plugin& plugin = (*mount)->plugin;
      if ((*mount)->preloaded && plugin.before_fork != nullptr) plugin.before_fork((*mount)->instance);
    }
  }

  void after_fork() {
    for (const auto& mount : mounts_) {
      if (mount->preloaded && mount->plugin.after_fork != nullptr) mount->plugin.after_fork(mount->instance);
    }
  }

  // Forks twice: the worker's parent ends at once, so that the master, which is a subreaper, reaps the worker.
  void spawn(std::uint32_t slot, Fd master) {
    Seat seat{seat_.generation,  slot,
              std::move(master), seat_.listeners,
              seat_.scoreboard,  relay_give_.get(),
              relay_take_.get(), seat_.access_log,
              seat_.log_socket};
    before_fork();
    const ForkOfServer no_foreign_child;
    const pid_t intermediate = ::fork();
    const int fork_errno = errno;
    if (intermediate == 0) {
      const pid_t parent = ::getpid();
      const pid_t pid = ::fork();
      if (pid == 0) {
        end_with_master(parent);
        become_worker(std::move(seat));
      }
      ::_exit(pid < 0 ? errno : 0);
    }
    after_fork();
    int status = 0;
    int reason = intermediate < 0 ? fork_errno : 0;
    if (intermediate > 0 && ::waitpid(intermediate, &status, 0) == intermediate && WIFEXITED(status))
      reason = WEXITSTATUS(status);
    if (reason != 0) send_report(Report::fork_failed, errno_error("fork", reason).message, 0, slot);
  }

  // A plugin that hangs in its set-up never sees the master's end. run_worker() takes this back when the loop
  // does. The intermediate process has to be gone first, or its end would be taken for the master's.
  static void end_with_master(pid_t intermediate) noexcept {
    for (int look = 0; ::getppid() == intermediate && look < 10'000; ++look) ::usleep(100);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  }

  [[noreturn]] void become_worker(Seat seat) noexcept {
    seat_.master = Fd();  // the template's own socket to the master
    lead_group();
    default_all_signals();
    int status = exit_boot_failed;
    const int master = seat.master.get();
    const std::uint32_t slot = seat.slot;
    const std::uint64_t generation = seat.generation->number;
    try {
      status = run_worker(seat, std::move(mounts_), code_files_);
    } catch (const std::exception& error) {
      [[maybe_unused]] const auto sent =
          send_record(master, make_record(Report::failed, slot, generation, error.what(), exit_boot_failed));
    }
    ::_exit(status);
  }

  void send_report(Report report, std::string_view text = {}, int code = 0, std::uint32_t slot = 0) {
    [[maybe_unused]] const auto sent =
        send_record(seat_.master.get(), make_record(report, slot, seat_.generation->number, text, code));
  }

  TemplateSeat seat_;
  Fd relay_give_, relay_take_;
  std::vector<std::unique_ptr<Mount>> mounts_;
  CodeFiles code_files_;
};

}  // namespace

int run_template(TemplateSeat seat) { return Template(std::move(seat)).run(); }

}  // namespace narwhal::worker
