#include "core/log_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstdlib>

namespace narwhal {
namespace {

constexpr long pipe_file_system = 0x50495045;  // PIPEFS_MAGIC: a pipe that has no name

bool is_named_as_journal(const struct stat& facts) noexcept {
  const char* const named = std::getenv("JOURNAL_STREAM");
  unsigned long long device = 0, inode = 0;
  return named != nullptr && std::sscanf(named, "%llu:%llu", &device, &inode) == 2 && device == facts.st_dev &&
         inode == facts.st_ino;
}

// Opening the multiplexer of pseudo-terminals makes a new one.
bool is_terminal(int fd, const struct stat& facts) noexcept {
  return S_ISCHR(facts.st_mode) && facts.st_rdev != makedev(5, 2) && ::isatty(fd) != 0;
}

struct ProcPath {
  char text[32] = "/proc/self/fd/";
  explicit ProcPath(int fd) noexcept { *std::to_chars(text + 14, text + sizeof text - 1, fd).ptr = '\0'; }
};

bool takes_some(int fd) noexcept {
  pollfd writable{fd, POLLOUT, 0};
  return ::poll(&writable, 1, 0) > 0;
}

// It waits only if another process has filled the place since.
ssize_t write_after_poll(int fd, std::string_view bytes) noexcept {
  if (takes_some(fd)) return ::write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
  errno = EAGAIN;
  return -1;
}

// write(2) has no flag for one call, splice(2) has one: the bytes go through a pipe of our own. Each splice takes a page of
// the other pipe, however short it is, so a pipe that is nearly empty is written to.
ssize_t splice_to_pipe(int fd, std::string_view bytes) noexcept {
  constexpr int nearly_empty = 320;  // at most eight short lines
  int queued = 0;
  if (::ioctl(fd, FIONREAD, &queued) != 0 || queued < nearly_empty) return write_after_poll(fd, bytes);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return write_after_poll(fd, bytes);
  ssize_t moved = ::write(ends[1], bytes.data(), bytes.size());
  if (moved > 0) moved = ::splice(ends[0], nullptr, fd, nullptr, static_cast<std::size_t>(moved), SPLICE_F_NONBLOCK);
  const int reason = errno;
  ::close(ends[0]);
  ::close(ends[1]);
  errno = reason;
  return moved < 0 && (reason == EINVAL || reason == ENOSYS || reason == EPERM) ? write_after_poll(fd, bytes) : moved;
}

}  // namespace

LogOutput LogOutput::of(int fd) noexcept {
  struct stat facts {};
  if (fd < 0 || ::fstat(fd, &facts) != 0) return {fd};
  const bool has_no_wait = (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
  if (S_ISSOCK(facts.st_mode)) return {fd, Kind::socket, is_named_as_journal(facts)};
  if (S_ISFIFO(facts.st_mode)) return {fd, has_no_wait ? Kind::own : Kind::pipe, is_named_as_journal(facts)};
  if (is_terminal(fd, facts)) return {fd, has_no_wait ? Kind::own : Kind::terminal};
  return {fd};
}

Result<Fd> open_log_file(const std::string& path) {
  // O_APPEND: master and workers write to one file, and each write is appended whole.
  constexpr int always = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | always, 0644));
  const int reason = errno;
  struct stat facts {};
  struct statfs system {};
  if (file && ::fstat(file.get(), &facts) != 0) return errno_error("open log " + path);
  if (file && S_ISREG(facts.st_mode)) {  // others may get this descriptor
    if (::fcntl(file.get(), F_SETFL, O_APPEND) < 0) return errno_error("open log " + path);
    return file;
  }
  const bool is_fifo =
      file ? S_ISFIFO(facts.st_mode) && ::fstatfs(file.get(), &system) == 0 && system.f_type != pipe_file_system
           : reason == ENXIO;
  // For reading too: its reader may come and go, and lines wait in it meanwhile.
  if (Fd both(is_fifo ? ::open(path.c_str(), O_RDWR | always) : -1); both) file = std::move(both);
  return file ? Result<Fd>(std::move(file)) : errno_error("open log " + path, reason);
}

Fd open_own_description(int fd) noexcept {
  const LogOutput output = LogOutput::of(fd);
  const bool is_needed = output.kind == LogOutput::Kind::pipe || output.kind == LogOutput::Kind::terminal;
  return Fd(is_needed ? ::open(ProcPath(fd).text, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1);
}

bool redirect_stream(int stream, int fd) noexcept {
  const bool has_no_wait = LogOutput::of(fd).kind == LogOutput::Kind::own;
  const Fd waiting(has_no_wait ? ::open(ProcPath(fd).text, O_WRONLY | O_CLOEXEC | O_NOCTTY) : -1);
  return ::dup2(waiting ? waiting.get() : fd, stream) >= 0;
}

ssize_t write_now(LogOutput output, std::string_view bytes) noexcept {
  ssize_t written = -1;
  do {
    switch (output.kind) {
      case LogOutput::Kind::file:
      case LogOutput::Kind::own: written = ::write(output.fd, bytes.data(), bytes.size()); break;
      case LogOutput::Kind::socket:
        written = ::send(output.fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
      case LogOutput::Kind::pipe: written = splice_to_pipe(output.fd, bytes); break;
      case LogOutput::Kind::terminal: written = write_after_poll(output.fd, bytes); break;
    }
  } while (written < 0 && errno == EINTR);
  return written;
}

std::optional<bool> ends_in_a_cut_line(LogOutput output) noexcept {
  const Fd file(::open(ProcPath(output.fd).text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const off_t end = file ? ::lseek(file.get(), 0, SEEK_END) : -1;
  char last = '\n';
  if (end < 0 || (end > 0 && ::pread(file.get(), &last, 1, end - 1) != 1)) return std::nullopt;
  return last != '\n';
}

}  // namespace narwhal
