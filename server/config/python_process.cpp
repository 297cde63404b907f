#include "server/config/python_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <regex>
#include <string_view>

#include "core/exec_pointers.hpp"
#include "core/log.hpp"
#include "server/config/is_program.hpp"

namespace narwhal::server {
namespace {

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

// In the child. Returns only if it cannot execve().
int become(const PythonProgram& program, std::vector<std::string>& arguments, std::vector<std::string>& environment,
           int inherited) {
  ::setpgid(0, 0);  // what the operator's code starts ends with it
  // The master handles what a terminal or an operator sends to the whole group; only signals to end apply here too.
  for (const int signo : {SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU}) ::signal(signo, SIG_IGN);
  if (program.kind == PythonProgram::Kind::log) {  // it ends after the last line of the others
    for (const int signo : {SIGINT, SIGTERM, SIGQUIT, SIGWINCH}) ::signal(signo, SIG_IGN);
  } else {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    log::redirect_standard_error();
  }
  ::fcntl(inherited, F_SETFD, 0);
  for (const int descriptor : program.also_inherited) ::fcntl(descriptor, F_SETFD, 0);
  if (::chdir(program.directory.c_str()) != 0) return exit_python_not_run;
  ::execve(program.interpreter.c_str(), exec_pointers(arguments).data(), exec_pointers(environment).data());
  return exit_python_not_run;
}

// What the program says of itself. Waits for it.
Result<std::string> asked_version(const std::string& program) {
  constexpr const char* question =
      "import sys; i = getattr(sys, 'implementation', None); print(i.name if i and i.name != 'cpython' else "
      "'%d.%d' % sys.version_info[:2] + ('t' if 't' in getattr(sys, 'abiflags', '') else ''))";
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe");
  const Fd answer(ends[0]);
  Fd output(ends[1]);
  auto child = fork_child([&] {
    ::dup2(output.get(), STDOUT_FILENO);
    ::execl(program.c_str(), program.c_str(), "-c", question, static_cast<char*>(nullptr));
    return exit_python_not_run;
  });
  if (!child) return Error{child.error()};
  output = Fd();
  char text[32] = "";
  pollfd readable{answer.get(), POLLIN, 0};
  const ssize_t size = ::poll(&readable, 1, 10'000) > 0 ? ::read(answer.get(), text, sizeof text) : 0;
  child->send(SIGKILL);
  while (::waitpid(child->pid(), nullptr, 0) < 0 && errno == EINTR) {
  }
  child->reaped();
  return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(size - 1, 0)));
}

}  // namespace

Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables,
                                const std::string& workers_python) {
  if (!venv.empty()) {
    const std::string program = venv + "/bin/python";
    if (is_program(program)) return program;
    return Error{"venv: " + program + " is not a program"};
  }
  if (const std::string named = variable(variables, "NARWHAL_PYTHON"); !named.empty()) {
    if (is_program(named)) return named;
    return Error{"NARWHAL_PYTHON: " + named + " is not a program"};
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

Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables) {
  return find_python(venv, variables, NARWHAL_PYTHON);
}

Result<std::string> version_of_python(const std::string& program) {
  constexpr std::string_view begin = "python";
  std::error_code unknown;
  std::string said = std::filesystem::canonical(program, unknown).filename();
  static const std::regex versioned("(3\\.\\d+)(t?)");
  std::smatch found;
  said = said.starts_with(begin) ? said.substr(begin.size()) : "";
  if (!std::regex_match(said, found, versioned)) {
    auto asked = asked_version(program);
    if (!asked) return Error{asked.error()};
    said = *std::move(asked);
    if (!std::regex_match(said, found, versioned)) return Error{program + " does not run CPython 3: " + said};
  }
  if (found[2].length() != 0) return Error{program + ": builds of Python without the GIL are not served yet"};
  return found[1].str();
}

Result<Child> start_python(const PythonProgram& program, int inherited) {
  std::vector<std::string> arguments{program.interpreter, "-c", program.script}, environment;
  arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
  for (const auto& [name, value] : program.variables) environment.push_back(name + "=" + value);
  return fork_child([&] { return become(program, arguments, environment, inherited); });
}

}  // namespace narwhal::server
