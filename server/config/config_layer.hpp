// What one source (a file, an environment variable, the command line) has to say, before it meets the others.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

// A text, and how a fault in it begins: "narwhal.yaml:3:10: workers", "--workers".
struct Located {
  std::string text;
  std::string where;
};

struct Assignment {
  const Setting* setting;
  std::vector<Located> values;  // the last one counts, unless the setting is a list
  std::string origin;           // as --print-config shows it: "narwhal.yaml:3"
};

struct LocatedRoute {
  Route route;
  std::string where;
  std::string origin;
};

struct Layer {
  std::vector<Assignment> assignments;
  std::optional<Located> app;      // of the root route
  std::optional<Located> options;  // where the root route's options stand
  Options root_options;
  std::vector<LocatedRoute> routes;  // as written
  std::string origin;                // of app
  std::vector<std::string> files;    // read for it; absolute
  std::vector<std::string> faults;
  int exit_code = 1;  // narwhal's, when something is wrong in this layer
};

// A Config in the making.
struct Draft {
  Config config;
  std::map<std::string, std::string, std::less<>> origins;  // by key; a key that is missing is a default
  std::vector<std::string> faults;
  int exit_code = 0;  // the highest of the layers with a fault
};

// Puts the layers, lowest first, on top of Config's defaults; then joins and checks the routes.
Draft merge_layers(const std::vector<Layer>& layers);

}  // namespace narwhal::server
