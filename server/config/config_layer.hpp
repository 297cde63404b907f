// What one source (a file, an environment variable, the command line) says, before it is merged with the others.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

// A text, and the beginning of a message about it: "narwhal.yaml:3:10: workers", "--workers".
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
  std::optional<Located> options;  // where the root route's options are written
  Options root_options;
  OptionPlaces root_places;
  std::vector<std::pair<std::string, Located>> single_options;  // each in place of the root route's option of that key
  std::vector<LocatedRoute> routes;                             // as written
  std::string origin;                                           // of `app`
  std::vector<std::string> files;                               // that were read; absolute paths
  std::vector<std::string> notices;                             // for the log: what has no effect, and why
  std::vector<std::string> faults;
  int exit_code = 1;  // narwhal's, when something is wrong in this layer
};

// A Config that is not complete yet.
struct Draft {
  Config config;
  std::map<std::string, std::string, std::less<>> origins;  // by key; a missing key means the default
  std::vector<std::string> notices, faults;
  int exit_code = 0;  // the highest of the layers with a fault
};

// Puts the layers, lowest first, on top of Config's defaults; then joins and checks the routes.
Draft merge_layers(const std::vector<Layer>& layers);

}  // namespace narwhal::server
