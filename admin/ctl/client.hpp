// Requests to the admin process, over its control socket: one connection each.
// Errors  a Result whose text names the socket and the way out.
#pragma once

#include <chrono>
#include <string>

#include "core/result.hpp"

namespace narwhal::ctl {

struct Answer {
  int status = 0;
  std::string body;
};

class Client {
 public:
  explicit Client(std::string path) : path_(std::move(path)) {}

  // `limit`: for the whole request.
  Result<Answer> get(const std::string& target, std::chrono::milliseconds limit = default_limit) const {
    return ask("GET", target, limit);
  }
  Result<Answer> post(const std::string& target, std::chrono::milliseconds limit = default_limit) const {
    return ask("POST", target, limit);
  }
  const std::string& path() const { return path_; }

 private:
  static constexpr std::chrono::milliseconds default_limit{5000};
  Result<Answer> ask(const char* method, const std::string& target, std::chrono::milliseconds limit) const;

  std::string path_;
};

}  // namespace narwhal::ctl
