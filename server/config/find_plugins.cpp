#include "server/config/find_plugins.hpp"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "core/joined.hpp"
#include "server/config/routes.hpp"

namespace narwhal::server {
namespace {

std::optional<std::string> installed_path(const std::string& name, const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    for (const std::string& folder : {directory, directory + "/" + name}) {
      std::string path = folder + "/" + name + ".so";
      if (::access(path.c_str(), F_OK) == 0) return path;
    }
  }
  return std::nullopt;
}

// "gunicorn wsgi" serves the module wsgi.py. The plugin of that name serves nothing unless its option `app` says what.
bool is_module_wsgi(const Route& route) {
  return route.app == "wsgi" && std::none_of(route.options.begin(), route.options.end(),
                                             [](const auto& option) { return option.first == "app"; });
}

}  // namespace

std::vector<std::string> find_plugins(const std::vector<std::string>& directories, Config& config) {
  std::vector<std::string> faults;
  const std::optional<std::string> wsgi = installed_path("wsgi", directories);
  for (Route& route : config.routes) {
    if (is_plugin_path(route.app)) continue;
    const bool is_python = is_python_app(route.app) || is_module_wsgi(route);
    if (const auto path = is_python ? std::nullopt : installed_path(route.app, directories)) {
      route.app = *path;
    } else if (wsgi) {
      route.plugin = *wsgi;
    } else if (is_python) {
      faults.push_back("app: '" + route.app +
                       "' is a Python application, but the plugin that runs it, wsgi.so, is not " +
                       (directories.empty() ? "installed" : "in " + joined(directories, " or ")));
    } else if (!directories.empty()) {
      route.app = directories.back() + "/" + route.app + ".so";  // for the message that it does not exist
    }
  }
  return faults;
}

}  // namespace narwhal::server
