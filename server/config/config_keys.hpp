// The keys of narwhal.yaml: a document in, a Layer out, with a fault for each key and value that is wrong.
#pragma once

#include <string>

#include "server/config/config_layer.hpp"
#include "server/config/yaml_node.hpp"

namespace narwhal::server {

Layer read_keys(const YamlNode& document, const std::string& file_name);

}  // namespace narwhal::server
