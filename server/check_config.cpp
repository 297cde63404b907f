#include "server/check_config.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "core/check_verdict.hpp"
#include "core/child.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/joined.hpp"
#include "core/time_limit.hpp"
#include "core/write_all.hpp"
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
  if (checked) checked = check_plugins(*plan.generation);
  return write_all(seat.master.get(), check_verdict(checked)) ? 0 : 2;
}

std::string read_now(int answer, std::chrono::milliseconds wait) {
  pollfd watched{answer, POLLIN, 0};
  if (::poll(&watched, 1, static_cast<int>(wait.count())) <= 0) return {};
  char bytes[verdict_reason_bytes_max + 1];
  const ssize_t size = ::read(answer, bytes, sizeof bytes);
  return size <= 0 ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

struct Outcome {
  std::string verdict;  // empty: the child never sent one
  int status = 0;
  bool late = false;
};

// End-of-file on the pipe proves nothing: a process that the application forks holds its end as well, perhaps for ever.
Outcome await(Child& child, int answer, Instant deadline) {
  Outcome outcome;
  pid_t ended = 0;
  while (outcome.verdict.empty() && ended == 0 && !outcome.late) {
    outcome.verdict = read_now(answer, look_every);
    if (!outcome.verdict.empty()) break;
    ended = ::waitpid(child.pid(), &outcome.status, WNOHANG);
    if (ended > 0) outcome.verdict = read_now(answer, std::chrono::milliseconds{0});
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

}  // namespace

Result<Done> check_config(const Config& config, const CheckPlugins& check_plugins) {
  if (auto checked = check_own_files(config); !checked) return checked;
  if (auto checked = check_log_settings(config); !checked) return checked;
  auto area = StageArea::create(config.stage_dir);
  if (!area) return Error{area.error()};
  Config checked_config = config;
  checked_config.preload_app = true;  // of a Python application most of what can fail is its import
  Prepared prepared = prepare_check(checked_config, *area);
  if (const auto* failed_step = std::get_if<FailedStep>(&prepared)) return Error{failed_step->reason};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_error("pipe");
  const Fd answer(ends[0]);
  Fd question(ends[1]);
  auto child = fork_child([&] { return run_in_child(std::get<Plan>(prepared), check_plugins, std::move(question)); });
  if (!child) return Error{child.error()};
  question = Fd();
  const Outcome outcome = await(*child, answer.get(), deadline_after(narwhal::now(), config.boot_timeout));
  if (outcome.verdict.starts_with(verdict_failed)) return Error{outcome.verdict.substr(1)};
  if (outcome.late)
    return Error{joined(config.routes, " or ", &Route::app) + " was not loaded within " +
                 std::to_string(config.boot_timeout.count()) + " s (boot_timeout)"};
  if (!outcome.verdict.starts_with(verdict_passed)) {
    return Error{joined(config.routes, " or ", &Route::app) +
                 " ended the process while it was being loaded: the process " + describe_exit(outcome.status)};
  }
  return Done{};
}

}  // namespace narwhal::server
