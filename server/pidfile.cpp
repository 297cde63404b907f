#include "server/pidfile.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "core/write_all.hpp"

namespace narwhal::server {
namespace {

// Starts that collide take turns; more collisions than this do not happen.
constexpr int attempts_max = 100;

bool is_at(int fd, const std::string& path) {
  struct stat ours {
  }, there{};
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino;
}

std::string pid_in(int fd) {
  char text[16] = {};
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  long pid = 0;
  if (size <= 0 || std::from_chars(text, text + size, pid).ec != std::errc()) return "unknown";
  return std::to_string(pid);
}

// The file that will get the name; it is locked before another process can see it.
Result<Fd> write_unnamed(const std::string& path, std::string& temporary) {
  temporary = path + ".XXXXXX";
  Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) return errno_error("create pid file " + path);
  const std::string text = std::to_string(::getpid()) + "\n";
  const bool written = write_all(file.get(), text);
  if (written && ::fchmod(file.get(), 0644) == 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  const Error fault = errno_error("write pid file " + path);
  ::unlink(temporary.c_str());
  return fault;
}

enum class Taken { yes, collision };

// Gives `temporary` the name `path`: by link() if no file has it, because link() refuses to replace one that appeared
// meanwhile; by rename() over a stale file, whose lock keeps other starts out until then.
Result<Taken> take_name(const std::string& temporary, const std::string& path) {
  const Fd present(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!present) {
    if (errno != ENOENT) return errno_error("open pid file " + path);
    if (::link(temporary.c_str(), path.c_str()) == 0) return Taken::yes;
    if (errno == EEXIST) return Taken::collision;
    return errno_error("create pid file " + path);
  }
  if (::flock(present.get(), LOCK_EX | LOCK_NB) < 0) {
    if (!is_at(present.get(), path)) return Taken::collision;
    return Error{"Already running on PID " + pid_in(present.get()) + " (or pid file '" + path + "' is stale)"};
  }
  if (!is_at(present.get(), path)) return Taken::collision;
  if (::rename(temporary.c_str(), path.c_str()) < 0) return errno_error("replace pid file " + path);
  return Taken::yes;
}

}  // namespace

Pidfile::Pidfile(std::string path, Fd locked) noexcept
    : path_(std::move(path)), locked_(std::move(locked)), owner_(::getpid()) {}

Pidfile::~Pidfile() {
  if (locked_ && owner_ == ::getpid() && is_at(locked_.get(), path_)) ::unlink(path_.c_str());
}

Result<Pidfile> Pidfile::create(const std::string& path) {
  std::string temporary;
  auto file = write_unnamed(path, temporary);
  if (!file) return Error{file.error()};
  Result<Taken> taken = Taken::collision;
  for (int attempt = 0; attempt < attempts_max && taken && *taken == Taken::collision; ++attempt) {
    taken = take_name(temporary, path);
  }
  ::unlink(temporary.c_str());  // after link() it is a second name, after rename() it is gone
  if (!taken) return Error{taken.error()};
  if (*taken != Taken::yes) return Error{"create pid file " + path + ": too many starts at once"};
  return Pidfile(path, *std::move(file));
}

}  // namespace narwhal::server
