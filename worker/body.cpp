#include "worker/body.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>

#include "core/write_all.hpp"

namespace narwhal::worker {

namespace {
Result<Done> write_to(const Fd& file, std::string_view bytes, const std::string& folder) {
  if (write_all(file.get(), bytes)) return Done{};
  return errno_error("write a request body to a file in " + folder + " (tmp_upload_dir)");
}
constexpr std::size_t memory_kept_max = 64 * 1024;
}  // namespace

Result<Done> Body::append(std::string_view bytes, std::size_t memory_max, const std::string& folder) {
  size_ += bytes.size();
  if (!file_ && memory_.size() + bytes.size() <= memory_max) {
    memory_.append(bytes);
    return Done{};
  }
  if (!file_) {
    if (Result<Done> spooled = spool(folder); !spooled) return spooled;
  }
  return write_to(file_, bytes, folder);
}

Result<Done> Body::spool(const std::string& folder) {
  file_ = Fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file_) {  // not every file system has O_TMPFILE
    std::string name = folder + "/narwhal-body-XXXXXX";
    file_ = Fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!file_) return errno_error("make a file for a request body in " + folder + " (tmp_upload_dir)");
    ::unlink(name.c_str());
  }
  Result<Done> moved = write_to(file_, memory_, folder);
  memory_ = {};
  return moved;
}

Result<std::string_view> Body::view() {
  if (!borrowed_.empty()) return borrowed_;
  if (!file_) return std::string_view(memory_);
  if (map_ == nullptr && size_ != 0) {
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file_.get(), 0);
    if (map == MAP_FAILED) return errno_error("map a request body");
    map_ = map;
    map_size_ = size_;
  }
  return std::string_view(static_cast<const char*>(map_), map_size_);
}

std::int64_t Body::read(char* out, std::size_t size) {
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(size, size_ - read_));
  if (count == 0) return 0;
  if (file_) {
    const ssize_t got = ::pread(file_.get(), out, count, static_cast<off_t>(read_));
    if (got > 0) read_ += static_cast<std::uint64_t>(got);
    return got;
  }
  const std::string_view all = borrowed_.empty() ? std::string_view(memory_) : borrowed_;
  std::copy_n(all.data() + read_, count, out);
  read_ += count;
  return static_cast<std::int64_t>(count);
}

void Body::clear() noexcept {
  if (map_ != nullptr) ::munmap(map_, map_size_);
  map_ = nullptr;
  borrowed_ = {};
  if (memory_.capacity() > memory_kept_max) {
    memory_ = {};
  } else {
    memory_.clear();
  }
  file_ = Fd();
  size_ = read_ = 0;
}

}  // namespace narwhal::worker
