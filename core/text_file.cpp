#include "core/text_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fd.hpp"

namespace narwhal {

Result<FileText> read_text_file(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && errno == ENOENT) return FileText{};
  if (!file) return errno_error("open " + path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error("stat " + path);
  // As with Gunicorn, /dev/null is an empty file.
  const bool is_null = S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
  if (!S_ISREG(status.st_mode) && !is_null) return Error{path + ": is not a regular file"};
  FileText result{true, {}};
  char buffer[16 * 1024];
  while (result.text.size() <= bytes_max) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("read " + path);
    if (count == 0) break;
    result.text.append(buffer, static_cast<std::size_t>(count));
  }
  return result;
}

}  // namespace narwhal
