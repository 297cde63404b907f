#include "worker/code_files.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <new>

namespace narwhal::worker {
namespace {

// Never 0.
std::uint64_t digest(std::string_view bytes) noexcept { return std::hash<std::string_view>{}(bytes) | 1; }

// As Python itself tells whether a source has changed. 0 if there is no such file.
std::uint64_t state_of(std::string_view path) noexcept {
  char terminated[4096];
  if (path.size() >= sizeof terminated) return 0;
  terminated[path.copy(terminated, path.size())] = '\0';
  struct stat status {};
  if (::stat(terminated, &status) != 0) return 0;
  const std::int64_t seen[] = {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  return digest({reinterpret_cast<const char*>(seen), sizeof seen});
}

}  // namespace

CodeFiles::CodeFiles(Fd memory) {
  constexpr std::size_t size = files_max * sizeof(File);
  if (!memory || ::ftruncate(memory.get(), size) != 0) return;
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped != MAP_FAILED) files_ = static_cast<File*>(mapped);  // zeros are empty files
}

CodeFiles::~CodeFiles() {
  if (files_ != nullptr) ::munmap(files_, files_max * sizeof(File));
}

// The used entries are the first ones. Workers import in the same order, so the search begins after the last one found.
CodeFiles::File* CodeFiles::find_or_add(std::uint64_t path) noexcept {
  std::size_t end = next_;
  for (; end < files_max; ++end) {
    const std::uint64_t found = files_[end].path.load(std::memory_order_acquire);
    if (found == path) return &files_[end];
    if (found == 0) break;
  }
  for (std::size_t at = 0; at < next_; ++at) {
    if (files_[at].path.load(std::memory_order_acquire) == path) return &files_[at];
  }
  for (; end < files_max; ++end) {  // siblings add files, too
    std::uint64_t found = 0;
    if (files_[end].path.compare_exchange_strong(found, path) || found == path) return &files_[end];
  }
  return nullptr;
}

void CodeFiles::compare(std::string_view path) noexcept {
  const std::uint64_t state = files_ != nullptr ? state_of(path) : 0;
  File* const file = state != 0 ? find_or_add(digest(path)) : nullptr;
  if (file == nullptr) return;
  next_ = static_cast<std::size_t>(file - files_) + 1;
  std::uint64_t first = 0;
  if (file->state.compare_exchange_strong(first, state) || first == state) return;
  try {
    if (changed_ == 0) first_changed_ = path;
    ++changed_;
  } catch (const std::bad_alloc&) {
    // Not named; the next one may be.
  }
}

std::string CodeFiles::changed_text() const {
  if (changed_ < 2) return first_changed_;
  return first_changed_ + " and " + std::to_string(changed_ - 1) + (changed_ == 2 ? " other" : " others");
}

}  // namespace narwhal::worker
