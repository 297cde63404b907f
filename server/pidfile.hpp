// The file with the master's pid. Its owner holds a lock on it, so the file of a killed server never blocks a start,
// even if another program has its pid now (usually pid 1 in a container).
// Ownership  the process that created the file removes it, if it still is the same file.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::server {

class Pidfile {
 public:
  // The file is complete under its name or absent. The error about a living owner is Gunicorn's.
  static Result<Pidfile> create(const std::string& path);
  Pidfile(Pidfile&& other) noexcept = default;
  Pidfile& operator=(Pidfile&&) = delete;
  ~Pidfile();

  const std::string& path() const noexcept { return path_; }

 private:
  Pidfile(std::string path, Fd locked) noexcept;
  std::string path_;
  Fd locked_;  // children close it with everything else, so only the master holds the lock
  pid_t owner_;
};

}  // namespace narwhal::server
