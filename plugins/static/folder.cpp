#include "plugins/static/folder.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <narwhal/log.hpp>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

namespace narwhal::static_files {
namespace {

constexpr int root_flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
constexpr int quiet_flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// O_PATH asks for no permission on the folder itself.
bool may_enter(int folder) noexcept { return ::faccessat(folder, ".", X_OK, AT_EACCESS) == 0; }

long seconds_now() noexcept {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec;
}

std::string reason(int error) { return std::strerror(error); }

}  // namespace

Fd open_beneath(int folder, const std::string& below, int flags) noexcept {
  open_how how{};
  how.flags = static_cast<unsigned>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed while the kernel followed a ".." in a symbolic link.
  for (int attempt = 0; attempt < 10; ++attempt) {
    const long fd = ::syscall(SYS_openat2, folder, below.c_str(), &how, sizeof how);
    if (fd >= 0) return Fd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return Fd();
}

Fd open_step_by_step(int folder, const std::string& below, int flags) noexcept {
  Fd held;
  int at = folder;
  std::size_t begin = 0;
  for (std::size_t slash; (slash = below.find('/', begin)) != below.npos; begin = slash + 1) {
    const std::string segment = below.substr(begin, slash - begin);
    held = Fd(::openat(at, segment.c_str(), root_flags | O_NOFOLLOW));
    if (!held) return Fd();
    at = held.get();
  }
  return Fd(::openat(at, below.c_str() + begin, flags | O_NOFOLLOW));
}

Folder::Folder(std::string path) : path_(std::move(path)) {
  Fd opened(::open(path_.c_str(), root_flags));
  if (!opened || ::fstat(opened.get(), &facts_) != 0 || !may_enter(opened.get())) {
    throw std::runtime_error("option 'folder': open '" + path_ + "': " + reason(errno) +
                             ": name a folder that the user of the workers may enter");
  }
  has_openat2_ = bool(open_beneath(opened.get(), ".", root_flags)) || (errno != ENOSYS && errno != EPERM);
  root_ = std::make_shared<const Fd>(std::move(opened));
  looked_at_ = seconds_now();
}

Fd Folder::open(const std::string& below, int flags) {
  const std::shared_ptr<const Fd> folder = root();
  const int all = flags | ((flags & O_PATH) != 0 ? O_CLOEXEC : quiet_flags);
  const std::string& name = below.empty() ? "." : below;
  return has_openat2_ ? open_beneath(folder->get(), name, all) : open_step_by_step(folder->get(), name, all);
}

std::shared_ptr<const Fd> Folder::root() {
  const long now = seconds_now();
  long last = looked_at_.load(std::memory_order_relaxed);
  // One of the threads that see the second pass looks.
  if (now != last && looked_at_.compare_exchange_strong(last, now)) look_again();
  const std::lock_guard lock(mutex_);
  return root_;
}

void Folder::look_again() {
  struct stat facts {};
  Fd opened(::open(path_.c_str(), root_flags));
  const bool found = opened && ::fstat(opened.get(), &facts) == 0 && may_enter(opened.get());
  const int error = errno;
  const std::lock_guard lock(mutex_);
  if (!found) {
    if (!std::exchange(reported_, true)) {
      log_warning("static: open '" + path_ + "': " + reason(error) + ": the folder that was there is served still");
    }
    return;
  }
  reported_ = false;
  if (facts.st_dev == facts_.st_dev && facts.st_ino == facts_.st_ino) return;
  facts_ = facts;
  root_ = std::make_shared<const Fd>(std::move(opened));
  log_info("static: '" + path_ + "' is another folder now, which is served from here on");
}

}  // namespace narwhal::static_files
