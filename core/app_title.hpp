// The application's name in process titles and log lines: proc_name, else the first app's file name without ".so". A
// Python app is shown as it is written, as in Gunicorn.
#pragma once

#include <string>

#include "core/config.hpp"

namespace narwhal {

inline std::string app_title(const Config& config) {
  if (!config.proc_name.empty()) return config.proc_name;
  if (config.routes.empty()) return "narwhal";
  std::string name = config.routes.front().app;
  if (!config.routes.front().plugin.empty()) return name;
  name.erase(0, name.rfind('/') + 1);  // npos + 1 is 0
  if (name.size() > 3 && name.ends_with(".so")) name.resize(name.size() - 3);
  return name;
}

}  // namespace narwhal
