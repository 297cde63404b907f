#include "server/check_config.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/child.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "server/prepare.hpp"
#include "server/surroundings.hpp"
#include "server/time_limit.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t reason_bytes_max = 4096;

int run_in_child(const Plan& plan, const CheckPlugins& check_plugins, int answer) {
  auto checked = enter_surroundings(plan, EndsWithMaster::yes);
  if (checked) checked = check_plugins(*plan.generation);
  if (checked) return 0;
  const std::string reason = checked.error().substr(0, reason_bytes_max);
  return ::write(answer, reason.data(), reason.size()) < 0 ? 2 : 1;
}

// All that is written until the last writer is gone, or until the deadline.
std::string read_until(int answer, std::uint64_t deadline) {
  std::string text;
  char bytes[512];
  while (text.size() < reason_bytes_max) {
    const std::uint64_t now = now_ns();
    if (now >= deadline) break;
    pollfd watched{answer, POLLIN, 0};
    const std::uint64_t left = std::min<std::uint64_t>((deadline - now) / 1'000'000 + 1, 60'000);
    if (::poll(&watched, 1, static_cast<int>(left)) <= 0) continue;
    const ssize_t size = ::read(answer, bytes, sizeof bytes);
    if (size <= 0) break;
    text.append(bytes, static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace

Result<Done> check_config(const Config& config, const CheckPlugins& check_plugins) {
  auto area = StageArea::create(config.stage_dir);
  if (!area) return Error{area.error()};
  Prepared prepared = prepare_check(config, *area);
  if (const auto* refusal = std::get_if<Refusal>(&prepared)) return Error{refusal->reason};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_error("pipe");
  const Fd answer(ends[0]);
  Fd question(ends[1]);
  auto child = fork_child([&] { return run_in_child(std::get<Plan>(prepared), check_plugins, question.get()); });
  if (!child) return Error{child.error()};
  question = Fd();
  const std::uint64_t deadline = deadline_after(now_ns(), config.boot_timeout);
  const std::string reason = read_until(answer.get(), deadline);
  const bool late = now_ns() >= deadline;
  if (late) child->send(SIGKILL);
  int status = 0;
  while (::waitpid(child->pid(), &status, 0) < 0 && errno == EINTR) {
  }
  child->reaped();
  if (!reason.empty()) return Error{reason};
  if (late) return Error{"the plugins were not loaded within boot_timeout"};
  if (status != 0) return Error{"a plugin ended the process while it was loaded: it " + describe_exit(status)};
  return Done{};
}

}  // namespace narwhal::server
