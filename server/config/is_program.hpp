// is_program(): whether this process could run the file: it is a regular one, and executable for it.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace narwhal::server {

inline bool is_program(const std::filesystem::path& path) {
  std::error_code absent;
  return std::filesystem::is_regular_file(path, absent) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace narwhal::server
