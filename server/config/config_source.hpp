// Which file the settings come from, and what it says.
// -c NAME   a gunicorn.conf.py if NAME ends in .py, or is file:PATH or python:MODULE; else a narwhal.yaml. Without -c,
//           the first of narwhal.yaml and gunicorn.conf.py that exists in the start directory.
#pragma once

#include <optional>
#include <string>

#include "server/config/config_layer.hpp"
#include "server/config/load_config.hpp"
#include "server/config/python_config.hpp"

namespace narwhal::server {

struct ConfigSource {
  enum class Kind { none, yaml, python };
  Kind kind = Kind::none;
  std::string shown_name;  // as written, for errors and origins
  std::string location;    // absolute, or "python:MODULE"
  bool named = false;      // by -c: it must exist
};

ConfigSource choose_source(const std::optional<std::string>& named, const Environment& environment);

struct SourceText {
  Layer layer;
  bool has_logconfig_dict = false, changes_loggers = false;
  std::vector<std::string> hooks, not_used;  // as in GunicornFile
  bool has_master_hooks = false;
};

Layer read_yaml_source(const ConfigSource& source);
Layer read_yaml_text(std::string_view text, const std::string& shown_name);

// The request to read a Python source, and its answer as settings.
PythonConfigRequest request_for(const ConfigSource& source, const Environment& environment);
SourceText read_python_source(const ConfigSource& source, const Result<std::string>& answer);

}  // namespace narwhal::server
