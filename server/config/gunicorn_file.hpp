// What a gunicorn.conf.py says, once Python has read it: its plain settings as a Layer, and what is not among them.
// Types   Gunicorn's: `bind` is a text or a list, `umask` a number that is no octal text, `user` a name or a number.
// Names   that are neither Gunicorn's nor ours are the file's own, and are ignored, as are ours where their value is no
//         plain one: Gunicorn does not know them either.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/config/config_layer.hpp"

namespace narwhal::server {

struct GunicornFile {
  Layer layer;
  std::vector<std::string> hooks;     // names of those that workers run, where the application is Python's
  std::string path;                   // absolute; empty for a module that has no file
  std::vector<std::string> not_used;  // names: Gunicorn's settings that we do not have, hooks that nothing runs here
};

// All that the file is asked for: our settings' names and Gunicorn's.
std::vector<std::string_view> gunicorn_names();

// `answer` is gunicorn_conf_reader.hpp's. Faults are in the layer.
GunicornFile read_gunicorn_answer(std::string_view answer, const std::string& shown_name);

}  // namespace narwhal::server
