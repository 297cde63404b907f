#include "server/check_config.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "core/check_verdict.hpp"
#include "core/child.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/joined.hpp"
#include "core/time_limit.hpp"
#include "server/check_paths.hpp"
#include "server/child_environment.hpp"
#include "server/log_run.hpp"
#include "server/prepare.hpp"
#include "server/python_template.hpp"

namespace narwhal::server {
namespace {

constexpr std::chrono::milliseconds look_every{20};

int run_in_child(const Plan& plan, const CheckPlugins& check_plugins, Fd answer) {
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null) ::dup2(null.get(), STDIN_FILENO);  // not the terminal, so it leads a group
  auto checked = enter_child_environment(plan, EndsWithMaster::yes);
  if (checked) checked = check_upload_directory(plan.config());
  const TemplateSeat seat{plan.generation, std::move(answer), {}};
  if (checked && needs_python(plan.config())) checked = become_python(seat, PythonTask::check_plugins);
  if (checked) checked = check_plugins(*plan.generation, steps_to(seat.master.get()));
  std::fflush(nullptr);  // what plugins have printed
  return give_verdict(seat.master.get(), checked) ? 0 : 2;
}

// Empty: nothing has come.
std::string read_now(int answer, std::chrono::milliseconds wait) {
  pollfd watched{answer, POLLIN, 0};
  if (::poll(&watched, 1, static_cast<int>(wait.count())) <= 0) return {};
  char bytes[check_message_bytes_max];
  const ssize_t size = ::read(answer, bytes, sizeof bytes);
  return size <= 0 ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

struct Outcome {
  std::string verdict;  // empty: the child never sent one
  std::string step;     // the last that it began
  int status = 0;
  bool late = false;
};

// False: there is nothing to read now.
bool read_into(Outcome& outcome, int answer, std::chrono::milliseconds wait) {
  std::string message = read_now(answer, wait);
  if (message.empty()) return false;
  if (message[0] == step_message) {
    outcome.step = message.substr(1);
  } else {
    outcome.verdict = std::move(message);
  }
  return true;
}

// End-of-file proves nothing: a process that the application forks holds its end as well, perhaps for ever.
Outcome await(Child& child, int answer, Instant deadline) {
  Outcome outcome;
  pid_t ended = 0;
  while (outcome.verdict.empty() && ended == 0 && !outcome.late) {
    if (read_into(outcome, answer, look_every)) continue;
    ended = ::waitpid(child.pid(), &outcome.status, WNOHANG);
    while (ended > 0 && outcome.verdict.empty() && read_into(outcome, answer, std::chrono::milliseconds{0})) {
    }
    outcome.late = ended == 0 && narwhal::now() >= deadline;
  }
  if (outcome.late) child.send(SIGKILL);
  while (ended <= 0 && ::waitpid(child.pid(), &outcome.status, 0) < 0 && errno == EINTR) {
  }
  // What the application has started must not hold the pipe of our standard output open.
  end_group(child.pid());
  child.reaped();
  return outcome;
}

Result<Plan> make_plan(const Config& config, StageArea& area) {
  Config with_import = config;
  with_import.preload_app = true;  // of a Python application most of what can fail is its import
  Prepared prepared = prepare_check(with_import, area);
  if (const auto* failed_step = std::get_if<FailedStep>(&prepared)) return Error{failed_step->reason};
  Plan plan = std::get<Plan>(std::move(prepared));
  auto generation = std::make_shared<Generation>(*plan.generation);
  generation->config.preload_app = config.preload_app;  // of other plugins
  plan.generation = std::move(generation);
  return plan;
}

}  // namespace

Result<Done> check_config(const Config& config, const CheckPlugins& check_plugins) {
  if (auto checked = check_own_files(config); !checked) return checked;
  if (auto checked = check_log_settings(config); !checked) return checked;
  auto area = StageArea::create(config.stage_dir);
  if (!area) return Error{area.error()};
  auto plan = make_plan(config, *area);
  if (!plan) return Error{plan.error()};
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error("socketpair");
  const Fd answer(ends[0]);
  Fd question(ends[1]);
  auto child = fork_child([&] { return run_in_child(*plan, check_plugins, std::move(question)); });
  if (!child) return Error{child.error()};
  question = Fd();
  const Outcome outcome = await(*child, answer.get(), deadline_after(narwhal::now(), config.boot_timeout));
  if (outcome.verdict.starts_with(failed_message)) return Error{outcome.verdict.substr(1)};
  const std::string step = outcome.step.empty() ? "load " + joined(config.routes, " or ", &Route::app) : outcome.step;
  if (outcome.late)
    return Error{fmt::format("{}: not done after {} s (boot_timeout)", step, config.boot_timeout.count())};
  if (!outcome.verdict.starts_with(passed_message))
    return Error{step + ": the process " + describe_exit(outcome.status)};
  return Done{};
}

}  // namespace narwhal::server
