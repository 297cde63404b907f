#include "tools/run_project.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "core/child.hpp"
#include "core/fd.hpp"
#include "core/write_all.hpp"
#include "tools/project.hpp"
#include "tools/source_watch.hpp"

namespace narwhal::tools {

namespace {

// An editor writes several files, or one in several steps.
constexpr int quiet_ms = 100;

void note(const char* text) { std::fprintf(stderr, "narwhal-plugin: %s\n", text); }

Fd open_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signo : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&wanted, signo);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  return Fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
}

Result<Child> start_server(const Words& words) {
  const pid_t parent = ::getpid();
  return fork_child([&] {
    // A server that nobody builds for any more ends.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) return 1;
    static_cast<void>(write_all(STDERR_FILENO, "narwhal-plugin: " + become(words).message + "\n"));
    return 127;
  });
}

class Session {
 public:
  Session(const Places& places, Child server, SourceWatch watch, Fd signals)
      : places_(places), server_(std::move(server)), watch_(std::move(watch)), signals_(std::move(signals)) {}

  // The server's exit status.
  int serve() {
    while (true) {
      pollfd waiting[] = {{signals_.get(), POLLIN, 0}, {watch_.descriptor(), POLLIN, 0}};
      ::poll(waiting, 2, change_is_waiting_ ? quiet_ms : -1);
      if (const std::optional<int> status = take_signals()) return *status;
      if (watch_.has_changed()) {
        change_is_waiting_ = true;
      } else if (change_is_waiting_) {
        change_is_waiting_ = false;
        build();
      }
    }
  }

 private:
  void build() {
    const Result<int> built = build_project(places_, written_sources());
    if (!built) note(built.error().c_str());
    if (built && *built == 0) return watch_.forget_written();
    note("the build failed; the server goes on with the last one");
  }

  // make is to take them for newer than all that it has made. Its own file would only be read again.
  Words written_sources() const {
    Words options;
    std::error_code ignored;
    for (const auto& source : watch_.written()) {
      if (source.filename() == "Makefile" || !std::filesystem::exists(source, ignored)) continue;
      options.insert(options.end(), {"-W", source.string()});
    }
    return options;
  }

  std::optional<int> take_signals() {
    signalfd_siginfo signal;
    while (::read(signals_.get(), &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) {
      if (signal.ssi_signo == SIGCHLD) {
        int status = 0;
        if (::waitpid(server_.pid(), &status, WNOHANG) != server_.pid()) continue;
        server_.reaped();
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      // The server has got a terminal's INT and QUIT itself. HUP would be a reload to it.
      const bool is_terminals = signal.ssi_code == SI_KERNEL;
      if (signal.ssi_signo == SIGHUP) {
        server_.send(SIGTERM);
      } else if (!is_terminals) {
        server_.send(static_cast<int>(signal.ssi_signo));
      }
    }
    return std::nullopt;
  }

  const Places& places_;
  Child server_;
  SourceWatch watch_;
  Fd signals_;
  bool change_is_waiting_ = false;
};

}  // namespace

Result<int> build_project(const Places& places, const Words& targets) {
  if (Result<Done> found = find_project(); !found) return Error{found.error()};
  Words words{"make", "--no-print-directory", "NARWHAL_PLUGIN=" + places.self};
  words.insert(words.end(), targets.begin(), targets.end());
  return run_program(words);
}

Result<int> run_project(const Places& places, const Words& arguments) {
  Result<SourceWatch> watch = SourceWatch::open(".");  // first, so that it sees what is saved during the build
  if (!watch) return Error{watch.error()};
  const Result<int> built = build_project(places, {});
  if (!built || *built != 0) return built;
  Words words{places.server, "--reload"};
  std::error_code ignored;
  if (!std::filesystem::exists("narwhal.yaml", ignored)) {
    const Result<std::string> plugin = built_plugin();
    if (!plugin) return Error{plugin.error()};
    words.push_back(*plugin);
  }
  words.insert(words.end(), arguments.begin(), arguments.end());
  Fd signals = open_signals();
  Result<Child> server = start_server(words);
  if (!server) return Error{server.error()};
  return Session(places, *std::move(server), *std::move(watch), std::move(signals)).serve();
}

}  // namespace narwhal::tools
