// argv, or what NARWHAL_CMD_ARGS holds of it: words in, a Layer out. Values are not judged here, only flags.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/config/config_layer.hpp"
#include "server/config/load_config.hpp"

namespace narwhal::server {

struct CommandLine {
  Layer layer;
  std::optional<Mode> mode;           // a flag that asks for something else than serving
  std::optional<std::string> config;  // -c, as written
};

// `words` without the program's name. `source` is how --print-config names them: "command line" or
// "NARWHAL_CMD_ARGS"; the latter also begins each fault.
CommandLine parse_command_line(std::vector<std::string> words, const std::string& source);

}  // namespace narwhal::server
