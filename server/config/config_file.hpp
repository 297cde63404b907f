// narwhal.yaml: reads the file and parses it as YAML. config_keys.hpp gives the keys their meaning.
// Trust   the text may be anything: its size and the depth and number of its values, aliases included, are bounded.
//         Bytes that are not UTF-8 are refused.
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/text_file.hpp"
#include "server/config/yaml_node.hpp"

namespace narwhal::server {

// One document; an empty text is a null node. The error is "file:line:column: reason".
Result<YamlNode> parse_yaml(std::string_view text, const std::string& file_name);

// The whole file, up to 1 MiB. A missing file is `found == false`; any other failure is an Error.
Result<FileText> read_config_file(const std::string& path);

}  // namespace narwhal::server
