// The file with the master's pid. Its owner holds a lock on it, so a number that some killed server left behind, or
// that belongs to another program by now (pid 1 of a container, as a rule), never blocks a start.
// Ownership  the process that created it removes it, if the file still is the same one.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::server {

class Pidfile {
 public:
  // Complete under its name or not there at all. The error of a living owner has Gunicorn's words.
  static Result<Pidfile> create(const std::string& path);
  Pidfile(Pidfile&& other) noexcept = default;
  Pidfile& operator=(Pidfile&&) = delete;
  ~Pidfile();

  const std::string& path() const noexcept { return path_; }

 private:
  Pidfile(std::string path, Fd locked) noexcept;
  std::string path_;
  Fd locked_;  // children close it with everything else: the lock is the master's alone
  pid_t owner_;
};

}  // namespace narwhal::server
