// argv, or the words of NARWHAL_CMD_ARGS: words in, a Layer out. Flags are checked here, values are not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/config/config_layer.hpp"
#include "server/config/load_config.hpp"

namespace narwhal::server {

struct CommandLine {
  Layer layer;
  std::optional<Mode> mode;           // from a flag that asks for something other than serving
  std::optional<std::string> config;  // -c, as written
};

// `words` without the program's name. `source` is how --print-config names them: "command line" or
// "NARWHAL_CMD_ARGS"; NARWHAL_CMD_ARGS also begins each fault.
CommandLine parse_command_line(std::vector<std::string> words, const std::string& source);

}  // namespace narwhal::server
