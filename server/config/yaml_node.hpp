// A YAML document as a plain value; config_file.cpp makes it from yaml-cpp's events.
#pragma once

#include <string>
#include <vector>

namespace narwhal::server {

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;             // scalar
  std::vector<YamlNode> items;  // list; for a map: key, value, key, value, ...
  int line = 1, column = 1;
};

}  // namespace narwhal::server
