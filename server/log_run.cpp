#include "server/log_run.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "core/app_title.hpp"
#include "core/json_text.hpp"
#include "core/log_records.hpp"
#include "core/records.hpp"
#include "core/time_limit.hpp"
#include "server/config/load_config.hpp"
#include "server/config/python_process.hpp"
#include "server/config/settings_json.hpp"
#include "server/log_runner.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

// The program itself comes over the socket, so that ps shows a short line.
constexpr const char* first_program = "import os, sys; exec(os.read(int(sys.argv[2]), 1 << 20))";

std::string start_message(const Config& config) {
  std::string json = R"({"settings":)" + settings_json(config) + R"(,"conf_file":)";
  append_json_string(json, config.conf_file);
  json += R"(,"app":)";
  append_json_string(json, app_title(config));
  return json + R"(,"has_logconfig_dict":)" + (config.logconfig_dict ? "true" : "false") + "}";
}

std::map<std::string, std::string> variables_for(const Config& config) {
  auto variables = current_environment("").variables;
  for (const auto& [name, value] : config.raw_env) variables.insert_or_assign(name, value);
  return variables;
}

int milliseconds_until(Instant end, Instant now) {
  if (end == never) return 1000;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now);
  return static_cast<int>(std::clamp<std::chrono::milliseconds>(left, 0ms, 1s).count());
}

}  // namespace

Result<std::unique_ptr<LogRun>> LogRun::start(const Config& config, int lines) {
  auto variables = variables_for(config);
  auto interpreter = find_python(config.venv, variables);
  if (!interpreter) return Error{"Python is needed to write the logs: " + interpreter.error()};
  auto pair = open_pair();
  if (!pair) return Error{pair.error()};
  const int inherited = pair->child.get();
  PythonProgram program{*std::move(interpreter),
                        first_program,
                        {},
                        std::move(variables),
                        config.chdir.empty() ? config.start_directory : config.chdir};
  program.arguments = {std::to_string(lines), std::to_string(inherited), "narwhal: log [" + app_title(config) + "]"};
  program.also_inherited = {lines};
  program.kind = PythonProgram::Kind::log;
  for (const std::string& message : {std::string(log_runner), start_message(config)}) {
    if (::send(pair->master.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
      return errno_error("send the settings to the log process");
  }
  auto child = start_python(program, inherited);
  if (!child) return Error{child.error()};
  const Instant now = narwhal::now();
  return std::unique_ptr<LogRun>(
      new LogRun(*std::move(child), std::move(pair->master), now, deadline_after(now, config.boot_timeout)));
}

LogRun::~LogRun() { kill(); }

void LogRun::kill() {
  if (child_.pid() == 0) return;
  child_.send(SIGKILL);
  int status = 0;
  while (::waitpid(child_.pid(), &status, 0) < 0 && errno == EINTR) {
  }
  child_.reaped();
}

void LogRun::fail(std::string why) {
  state_ = State::failed;
  fault_ = std::move(why);
}

void LogRun::settle(Instant now) {
  char bytes[8192];
  while (state_ == State::starting) {
    const ssize_t size = ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size <= 0) return fail("The log process ended before it was ready: its error output says why");
    if (bytes[0] == 'r') state_ = State::ready;
    if (bytes[0] == 'f') return fail(std::string(bytes + 1, static_cast<std::size_t>(size) - 1));
  }
  if (state_ == State::starting && now >= deadline_) fail("The log process was not ready within boot_timeout");
}

void LogRun::send(char message) const {
  // If it is gone, reaped() says so.
  [[maybe_unused]] const ssize_t sent = ::send(socket_.get(), &message, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool LogRun::reaped(pid_t pid, int) {
  if (child_.pid() == 0 || child_.pid() != pid) return false;
  child_.reaped();
  return true;
}

void LogRun::end_within(std::chrono::milliseconds limit) {
  const Instant end = narwhal::now() + limit;
  socket_ = Fd();
  int status = 0;
  while (child_.pid() != 0 && narwhal::now() < end) {
    if (::waitpid(child_.pid(), &status, WNOHANG) == child_.pid()) {
      child_.reaped();
    } else {
      ::poll(nullptr, 0, 5);
    }
  }
  kill();
}

Result<Done> check_log_settings(const Config& config) {
  if (!needs_log_process(config)) return Done{};
  LogSockets sockets;
  if (const auto opened = open_log_sockets(sockets); !opened) return opened;
  const auto started = LogRun::start(config, sockets.reader.get());
  if (!started) return Error{started.error()};
  LogRun* const run = started->get();
  while (run->state() == LogRun::State::starting) {
    pollfd watched{run->descriptor(), POLLIN, 0};
    ::poll(&watched, 1, milliseconds_until(run->deadline(), narwhal::now()));
    run->settle(narwhal::now());
  }
  if (run->state() == LogRun::State::failed) return Error{run->fault()};
  return Done{};
}

}  // namespace narwhal::server
