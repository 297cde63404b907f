#include "server/check_paths.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace narwhal::server {
namespace {

bool may(const std::string& path, int how) { return ::faccessat(AT_FDCWD, path.c_str(), how, AT_EACCESS) == 0; }

Result<Done> check_directory(const std::string& what, const std::string& directory) {
  struct stat facts {};
  if (::stat(directory.c_str(), &facts) != 0) return errno_error(what + ": the directory " + directory);
  if (!S_ISDIR(facts.st_mode)) return Error{what + ": " + directory + " is not a directory"};
  if (!may(directory, W_OK | X_OK)) return errno_error(what + ": make a file in the directory " + directory);
  return Done{};
}

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  return directory.empty() ? "." : directory;
}

Result<Done> check_log(const std::string& setting, const std::string& path) {
  if (path.empty() || path == "-") return Done{};
  const std::string what = setting + " " + path;
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    return errno == ENOENT ? check_directory(what, directory_of(path)) : errno_error(what);
  }
  if (S_ISDIR(facts.st_mode)) return Error{what + ": is a directory"};
  return may(path, W_OK) ? Result<Done>(Done{}) : errno_error(what + ": write to it");
}

}  // namespace

Result<Done> check_own_files(const Config& config) {
  if (auto checked = check_log("errorlog", config.errorlog); !checked) return checked;
  if (auto checked = check_log("accesslog", config.accesslog); !checked) return checked;
  if (config.pidfile.empty()) return Done{};
  // A new file takes the place of an old one, so only its directory is written to.
  const std::string what = "pidfile " + config.pidfile;
  struct stat facts {};
  if (::stat(config.pidfile.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) return Error{what + ": is a directory"};
  return check_directory(what, directory_of(config.pidfile));
}

Result<Done> check_upload_directory(const Config& config) {
  return check_directory("tmp_upload_dir", config.tmp_upload_dir);
}

}  // namespace narwhal::server
