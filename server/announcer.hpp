// Announcer: what the service manager is told of the server's life.
#pragma once

#include <cstdint>
#include <string>

#include "server/generation.hpp"

namespace narwhal::server {

class Announcer {
 public:
  void ready(const LiveGeneration& serving);
  void reloading(std::uint64_t now);
  void reload_failed(const std::string& why);
  void stopping();
};

}  // namespace narwhal::server
