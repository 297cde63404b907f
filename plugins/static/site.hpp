// Site: the app of this plugin. It answers GET and HEAD with files of one folder.
// Answers    200, 206, 301 (a folder without its slash), 304, 403 (not readable), 404, 405, 412, 416; 503 while there are
//            too many open files, with a line in the log.
// Threads    any number at once.
#pragma once

#include <narwhal/app.hpp>
#include <narwhal/files.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/static/folder.hpp"
#include "plugins/static/settings.hpp"

namespace narwhal::static_files {

class Site {
 public:
  // Throws what read_settings() and Folder() throw, and std::runtime_error when `fallback` or `not_found` is not a file.
  explicit Site(const Boot& boot);
  Response operator()(const Request& request);

 private:
  struct Found {
    Fd fd;
    struct stat facts {};
    int error = 0;  // of errno; then there is no fd
    bool is_file() const noexcept { return fd && S_ISREG(facts.st_mode); }
    bool is_folder() const noexcept { return fd && S_ISDIR(facts.st_mode); }
  };

  Found find(const std::string& below, int flags);
  Response answer_folder(const Request& request, const std::string& below);
  Response send(const Request& request, const std::string& below, Found file);
  Response list(const Request& request, const std::string& below, Fd folder);
  Response missing(const Request& request, bool may_fall_back);
  Response refuse(const Request& request, const std::string& below, int error);
  void check_file(const char* key, const std::string& below);

  const Settings settings_;
  Folder folder_;
  std::atomic<long> reported_at_ = 0;  // seconds of the last line that says that something has run out
};

}  // namespace narwhal::static_files
