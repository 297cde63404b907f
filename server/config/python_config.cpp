#include "server/config/python_config.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/clock.hpp"
#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/time_limit.hpp"
#include "server/config/gunicorn_conf_reader.hpp"
#include "server/config/is_program.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t answer_bytes_max = 1024 * 1024;
constexpr int exit_not_run = 127;

std::string variable(const std::map<std::string, std::string>& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? "" : found->second;
}

std::string on_path(std::string_view folders, const std::string& name) {
  while (!folders.empty()) {
    const std::size_t colon = std::min(folders.find(':'), folders.size());
    const std::string program = std::string(folders.substr(0, colon)) + "/" + name;
    if (colon > 0 && is_program(program)) return program;
    folders.remove_prefix(std::min(colon + 1, folders.size()));
  }
  return "";
}

// Pointers into `texts`, and the null at the end that execve() needs.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

struct Program {
  std::string path, directory;
  std::vector<std::string> arguments, environment;
};

Program program_for(const std::string& interpreter, const PythonConfigRequest& request, int answer) {
  Program program{interpreter, request.directory, {}, {}};
  program.arguments = {
      interpreter, "-c", gunicorn_conf_reader, std::to_string(answer), request.location, joined(request.names, ",")};
  for (const auto& [name, value] : request.variables) program.environment.push_back(name + "=" + value);
  return program;
}

// In the child. Returns only if it cannot execve().
int become(Program& program, int answer) {
  // The master handles what a terminal or an operator sends to the whole group; only signals to end apply here too.
  for (const int signo : {SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU}) ::signal(signo, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(log::descriptor(), STDERR_FILENO);
  ::fcntl(answer, F_SETFD, 0);
  if (::chdir(program.directory.c_str()) != 0) return exit_not_run;
  ::execve(program.path.c_str(), pointers(program.arguments).data(), pointers(program.environment).data());
  return exit_not_run;
}

}  // namespace

Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables,
                                const std::string& workers_python) {
  if (!venv.empty()) {
    const std::string program = venv + "/bin/python";
    if (is_program(program)) return program;
    return Error{"venv: " + program + " is not a program"};
  }
  if (const std::string active = variable(variables, "VIRTUAL_ENV"); !active.empty()) {
    if (const std::string program = active + "/bin/python"; is_program(program)) return program;
  }
  if (is_program(workers_python)) return workers_python;
  const std::string same_version = workers_python.substr(workers_python.rfind('/') + 1);  // "python3.11"
  const std::string path = variable(variables, "PATH");
  if (!same_version.empty()) {
    if (std::string program = on_path(path, same_version); !program.empty()) return program;
  }
  if (std::string program = on_path(path, "python3"); !program.empty()) return program;
  if (std::string program = "/usr/bin/python3"; is_program(program)) return program;
  return Error{"python3 was not found on PATH: install it, or name a virtual environment (VIRTUAL_ENV)"};
}

Result<PythonConfigReading> PythonConfigReading::start(const PythonConfigRequest& request) {
  const auto interpreter = find_python(request.venv, request.variables, NARWHAL_PYTHON);
  if (!interpreter) return Error{request.shown_name + ": Python is needed to read it: " + interpreter.error()};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return errno_error("pipe");
  Fd answer(ends[0]);
  const Fd write_end(ends[1]);
  ::fcntl(answer.get(), F_SETFL, O_NONBLOCK);
  Program program = program_for(*interpreter, request, write_end.get());
  auto child = fork_child([&] { return become(program, write_end.get()); });
  if (!child) return Error{child.error()};
  return PythonConfigReading(request.shown_name, *std::move(child), std::move(answer),
                             deadline_after(narwhal::now(), request.limit));
}

PythonConfigReading::~PythonConfigReading() { end(); }

bool PythonConfigReading::read_answer() {
  char bytes[16 * 1024];
  while (text_.size() <= answer_bytes_max) {
    const ssize_t size = ::read(answer_.get(), bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno != EAGAIN;
    if (size == 0) return true;
    text_.append(bytes, static_cast<std::size_t>(size));
  }
  return true;
}

// Killed even after a complete answer: its work is done then, and threads that it left running must not delay us.
void PythonConfigReading::end() {
  if (child_.pid() == 0) return;
  child_.send(SIGKILL);
  while (::waitpid(child_.pid(), &status_, 0) < 0 && errno == EINTR) {
  }
  child_.reaped();
}

bool PythonConfigReading::reaped(pid_t pid, int status) {
  if (child_.pid() == 0 || child_.pid() != pid) return false;
  status_ = status;
  child_.reaped();
  return true;
}

Result<std::string> PythonConfigReading::finish(Instant now) {
  end();
  if (now >= deadline_) return Error{shown_name_ + ": reading it took longer than boot_timeout"};
  if (text_.size() > answer_bytes_max) return Error{shown_name_ + ": its settings are larger than 1 MiB"};
  if (!text_.empty()) return std::move(text_);
  if (WIFEXITED(status_) && WEXITSTATUS(status_) == exit_not_run) {
    return Error{shown_name_ + ": Python could not be run"};
  }
  return Error{shown_name_ + ": Python " + describe_exit(status_) + " before it had read the file"};
}

Result<std::string> read_python_config(const PythonConfigRequest& request) {
  auto reading = PythonConfigReading::start(request);
  if (!reading) return Error{reading.error()};
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
