#include "server/config/absolute_paths.hpp"

#include <sys/un.h>

#include <string_view>

#include "server/config/routes.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

std::string absolute_path(const std::string& directory, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  // Not normalised further: "a/.." is not "" when a is a symbolic link.
  std::string_view rest = path;
  while (rest.starts_with("./")) rest.remove_prefix(2);
  if (rest == "." || rest.empty()) return directory;
  return (directory == "/" ? "" : directory) + "/" + std::string(rest);
}

std::vector<std::string> make_paths_absolute(const std::string& start_directory, Config& config) {
  config.chdir = absolute_path(start_directory, config.chdir);
  config.start_directory = start_directory;
  const std::string base = config.chdir.empty() ? start_directory : config.chdir;
  for (const Setting& setting : settings()) {
    if (setting.text == Setting::Text::plain || setting.text == Setting::Text::field) continue;
    if (const auto* list = std::get_if<std::vector<std::string> Config::*>(&setting.member)) {
      for (std::string& path : config.**list) path = absolute_path(base, path);
    }
    const auto* member = std::get_if<std::string Config::*>(&setting.member);
    if (member == nullptr) continue;
    std::string& path = config.**member;
    if (setting.text == Setting::Text::log_target && path == "-") continue;
    path = absolute_path(base, path);
  }
  for (Route& route : config.routes) {
    if (is_plugin_path(route.app)) route.app = absolute_path(base, route.app);
  }
  std::vector<std::string> faults;
  for (Bind& bind : config.bind) {
    bind.path = absolute_path(base, bind.path);
    if (bind.path.size() < sizeof(sockaddr_un{}.sun_path)) continue;
    faults.push_back("bind: '" + bind.path + "' is too long for a Unix socket: use a path of at most 107 bytes");
  }
  return faults;
}

}  // namespace narwhal::server
