// Addresses, and settings that have only those.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config.hpp"

namespace narwhal {

inline Bind tcp(std::uint16_t port = 0, const std::string& host = "127.0.0.1") {
  Bind bind;
  bind.host = host;
  bind.port = port;
  return bind;
}

inline Bind unix_at(const std::string& path, BindOptions options = {}) {
  Bind bind;
  bind.options = std::move(options);
  bind.kind = Bind::Kind::unix_socket;
  bind.path = path;
  return bind;
}

inline BindOptions mode(unsigned bits) { return {bits, "", "", std::nullopt}; }
inline BindOptions owner(const std::string& user, const std::string& group = "") {
  return {std::nullopt, user, group, std::nullopt};
}

inline Config with(std::vector<Bind> binds) {
  Config config;
  config.bind = std::move(binds);
  return config;
}

}  // namespace narwhal
