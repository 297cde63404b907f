#include "server/config/python_config.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/clock.hpp"
#include "core/joined.hpp"
#include "core/records.hpp"
#include "core/time_limit.hpp"
#include "server/config/gunicorn_conf_reader.hpp"
#include "server/config/python_process.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t answer_bytes_max = 1024 * 1024;

}  // namespace

Result<PythonConfigReading> PythonConfigReading::start(const PythonConfigRequest& request) {
  auto interpreter = find_python(request.venv, request.variables);
  if (!interpreter) return Error{request.shown_name + ": Python is needed to read it: " + interpreter.error()};
  auto pair = open_pair();
  if (!pair) return Error{pair.error()};
  const int inherited = pair->child.get();
  PythonProgram program{*std::move(interpreter), gunicorn_conf_reader, {}, request.variables, request.directory};
  program.arguments = {std::to_string(inherited), request.location, joined(request.names, ",")};
  auto child = start_python(program, inherited);
  if (!child) return Error{child.error()};
  return PythonConfigReading(request, *std::move(child), std::move(pair->master),
                             deadline_after(narwhal::now(), request.limit));
}

PythonConfigReading::~PythonConfigReading() { end(); }

PythonConfigReading& PythonConfigReading::operator=(PythonConfigReading&& other) noexcept {
  end();
  request_ = std::move(other.request_);
  child_ = std::move(other.child_);
  socket_ = std::move(other.socket_);
  deadline_ = other.deadline_;
  text_ = std::move(other.text_);
  complete_ = other.complete_;
  status_ = other.status_;
  return *this;
}

bool PythonConfigReading::read_answer() {
  char bytes[64 * 1024];
  while (!complete_ && text_.size() <= answer_bytes_max) {
    const ssize_t size = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno != EAGAIN;
    if (size == 0) return true;
    complete_ = bytes[0] == '.';
    if (bytes[0] == 'a') text_.append(bytes + 1, static_cast<std::size_t>(size) - 1);
  }
  return true;
}

// Threads that the file left running must not delay us.
void PythonConfigReading::end() {
  if (child_.pid() == 0) return;
  child_.send(SIGKILL);
  while (::waitpid(child_.pid(), &status_, 0) < 0 && errno == EINTR) {
  }
  child_has_ended();
}

void PythonConfigReading::child_has_ended() {
  end_group(child_.pid());
  child_.reaped();
}

void PythonConfigReading::leave() {
  close();
  child_.reaped();
}

bool PythonConfigReading::ended() {
  if (child_.pid() != 0 && ::waitpid(child_.pid(), &status_, WNOHANG) == child_.pid()) child_has_ended();
  return child_.pid() == 0;
}

bool PythonConfigReading::reaped(pid_t pid, int status) {
  if (child_.pid() == 0 || child_.pid() != pid) return false;
  status_ = status;
  child_has_ended();
  return true;
}

Result<std::string> PythonConfigReading::finish(Instant now) {
  const std::string& name = request_.shown_name;
  if (complete_ && text_.size() <= answer_bytes_max) return std::move(text_);
  end();
  if (now >= deadline_) return Error{name + ": reading it took longer than boot_timeout"};
  if (text_.size() > answer_bytes_max) return Error{name + ": its settings are larger than 1 MiB"};
  if (WIFEXITED(status_) && WEXITSTATUS(status_) == exit_python_not_run)
    return Error{name + ": Python could not be run"};
  return Error{name + ": Python " + describe_exit(status_) + " before it had read the file"};
}

Result<std::string> read_python_config(const PythonConfigRequest& request,
                                       std::optional<PythonConfigReading>& reading) {
  auto started = PythonConfigReading::start(request);
  if (!started) return Error{started.error()};
  reading.emplace(*std::move(started));
  const Instant deadline = reading->deadline();
  while (true) {
    const Instant now = narwhal::now();
    const auto left = now >= deadline ? 0ms : std::chrono::floor<std::chrono::milliseconds>(deadline - now) + 1ms;
    pollfd watched{reading->descriptor(), POLLIN, 0};
    if (left > 0ms) ::poll(&watched, 1, static_cast<int>(std::min<std::chrono::milliseconds>(left, 1min).count()));
    if (reading->read_answer() || narwhal::now() >= deadline) return reading->finish(narwhal::now());
  }
}

}  // namespace narwhal::server
