#include "tools/process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/exec_pointers.hpp"
#include "core/fd.hpp"
#include "core/write_all.hpp"

namespace narwhal::tools {

namespace {

// Of a shell, for what it cannot start.
constexpr int not_started = 127;

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::string shell_word(const std::string& word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("%+,-./:=@_").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

int wait_for(Child& child) {
  int status = 0;
  while (::waitpid(child.pid(), &status, 0) < 0 && errno == EINTR) {
  }
  child.reaped();
  return status;
}

Error become(Words words) {
  ::execvp(words.front().c_str(), exec_pointers(words).data());
  const std::string hint = errno == ENOENT ? ": install it (apt install " + words.front() + ")" : "";
  return Error{errno_error("run " + words.front()).message + hint};
}

Result<int> run_program(const Words& words) {
  Result<Child> child = fork_child([&] {
    const std::string text = "narwhal-plugin: " + become(words).message + "\n";
    static_cast<void>(write_all(STDERR_FILENO, text));
    return not_started;
  });
  if (!child) return Error{child.error()};
  return exit_code(wait_for(*child));
}

Result<Output> output_of(const Words& words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe");
  const Fd from(ends[0]);
  Fd to(ends[1]);
  Result<Child> child = fork_child([&] {
    ::dup2(to.get(), STDOUT_FILENO);
    ::dup2(to.get(), STDERR_FILENO);
    static_cast<void>(write_all(STDERR_FILENO, become(words).message));
    return not_started;
  });
  if (!child) return Error{child.error()};
  to = Fd();
  Output output;
  char buffer[4096];
  while (true) {
    const ssize_t size = ::read(from.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    output.text.append(buffer, static_cast<std::size_t>(size));
  }
  output.status = exit_code(wait_for(*child));
  return output;
}

}  // namespace narwhal::tools
