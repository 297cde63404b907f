// A gunicorn.conf.py after Python has read it: its plain settings as a Layer, and the names of everything else.
// Types   as in Gunicorn: `bind` is a string or a list, `umask` a number or a string, `user` a name or a number.
// Names   that neither Gunicorn nor narwhal knows belong to the file and are ignored. So are names of settings that
//         only narwhal has if the value is not a plain one, because Gunicorn does not know them either.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/config/config_layer.hpp"

namespace narwhal::server {

struct GunicornFile {
  Layer layer;
  std::vector<std::string> hooks;  // names of those that workers run if an application is a Python application
  bool has_master_hooks = false;
  bool has_logconfig_dict = false;
  bool changes_loggers = false;       // adds filters or handlers to Gunicorn's loggers
  std::string path;                   // absolute; empty for a module without a file
  std::vector<std::string> not_used;  // names: Gunicorn's settings that we do not have, and hooks that are not run
};

// All names that the file is asked for: our settings and Gunicorn's.
std::vector<std::string_view> gunicorn_names();

// True for a setting of narwhal that Gunicorn does not have.
bool is_only_ours(std::string_view name);

// `answer` has the form that gunicorn_conf_reader.hpp describes. Faults are in the layer.
GunicornFile read_gunicorn_answer(std::string_view answer, const std::string& shown_name);

}  // namespace narwhal::server
