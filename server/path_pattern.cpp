#include "server/path_pattern.hpp"

#include <fnmatch.h>

#include <filesystem>

namespace narwhal::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t entries_max = 100'000;  // "/**" must not block the master for ever

class Walk {
 public:
  explicit Walk(const fs::path& pattern) : parts_(++pattern.begin(), pattern.end()) {}

  Expansion run() {
    enter("/", 0);
    return std::move(found_);
  }

 private:
  // `folder` matches the parts before `at`.
  void enter(const fs::path& folder, std::size_t at) {
    if (at == parts_.size() || found_.files.size() + found_.folders.size() > entries_max) return;
    const std::string& part = parts_[at];
    if (part == "**") {
      if (at + 1 < parts_.size()) enter(folder, at + 1);  // "**" also stands for no folder at all
      return each_entry(folder, [&](const fs::directory_entry& entry) {
        std::error_code gone;
        const bool is_folder = entry.is_directory(gone) && !entry.is_symlink(gone);
        if (is_folder && entry.path().filename().string().front() != '.') enter(entry.path(), at);
        if (!is_folder && at + 1 == parts_.size()) found_.files.push_back(entry.path());
      });
    }
    if (!is_pattern(part)) return take(folder / part, at);
    each_entry(folder, [&](const fs::directory_entry& entry) {
      const bool fits = ::fnmatch(part.c_str(), entry.path().filename().c_str(), FNM_PERIOD) == 0;
      if (fits) take(entry.path(), at);
    });
  }

  void take(const fs::path& path, std::size_t at) {
    std::error_code gone;
    const fs::file_status status = fs::status(path, gone);
    if (at + 1 < parts_.size() && fs::is_directory(status)) enter(path, at + 1);
    if (at + 1 == parts_.size() && fs::exists(status) && !fs::is_directory(status)) found_.files.push_back(path);
  }

  template <class Callback>
  void each_entry(const fs::path& folder, Callback callback) {
    found_.folders.push_back(folder);
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
      callback(*entry);
    }
  }

  std::vector<std::string> parts_;
  Expansion found_;
};

}  // namespace

bool is_pattern(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

Expansion expand_pattern(const std::string& pattern) { return Walk(pattern).run(); }

}  // namespace narwhal::server
