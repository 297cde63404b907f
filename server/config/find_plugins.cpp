#include "server/config/find_plugins.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "core/joined.hpp"
#include "core/plugin_text.hpp"
#include "server/config/python_process.hpp"
#include "server/config/routes.hpp"

namespace narwhal::server {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> installed_path(const std::string& name, const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    for (const std::string& folder : {directory, directory + "/" + name}) {
      std::string path = folder + "/" + name + ".so";
      if (::access(path.c_str(), F_OK) == 0) return path;
    }
  }
  return std::nullopt;
}

// "gunicorn wsgi" serves the module wsgi.py.
bool is_python(const Route& route, const std::vector<std::string>& directories) {
  if (is_plugin_path(route.app)) return false;
  return is_python_app(route.app) || !installed_path(route.app, directories);
}

// The WSGI plugin for Python 3.11 is wsgi-cp311.so.
constexpr std::string_view plugin_begin = "wsgi-cp3";

std::string plugin_for(std::string_view version) {
  return std::string(plugin_begin) + std::string(version.substr(version.find('.') + 1));
}

// Empty if it is another plugin.
std::string version_of_plugin(const fs::path& plugin) {
  const std::string name = plugin.stem();
  const bool is_ours = name.starts_with(plugin_begin) && plugin.extension() == ".so";
  return is_ours ? "3." + name.substr(plugin_begin.size()) : "";
}

// The versions for which there is a WSGI plugin, the lowest first.
std::vector<std::string> versions_at_hand(const std::vector<std::string>& directories) {
  const auto before = [](const std::string& one, const std::string& other) {
    return std::pair(one.size(), one) < std::pair(other.size(), other);
  };
  std::set<std::string, decltype(before)> versions;
  for (const std::string& directory : directories) {
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(directory, absent)) {
      if (std::string version = version_of_plugin(entry.path()); !version.empty()) versions.insert(std::move(version));
    }
  }
  return {versions.begin(), versions.end()};
}

constexpr int lowest_minor = 9, highest_minor = 13;  // of Python 3: what plugins/wsgi is written for

std::string no_plugin_text(const std::string& python, const std::string& version,
                           const std::vector<std::string>& others) {
  const int minor = std::atoi(version.c_str() + version.find('.') + 1);
  if (minor < lowest_minor || minor > highest_minor)
    return python + " is Python " + version + ", and applications run in 3.9 to 3.13: name an environment of such a " +
           "version by --venv";
  return python + " is Python " + version + ", and there is no WSGI plugin for it" +
         (others.empty() ? "" : " (there is one for " + joined(others, ", ") + ")") +
         ": build it (in narwhal's sources: meson setup build -Dpythons=" + python + ", or " + python +
         " -m pip install .), or name an environment of another version by --venv";
}

// Of the server, or of the first application that has one.
std::string venv_of(const Config& config) {
  if (!config.venv.empty()) return config.venv;
  for (const Route& route : config.routes) {
    for (const auto& [key, value] : route.options) {
      if (key == "venv") return value;
    }
  }
  return "";
}

std::string value_in(const fs::path& file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string name = line.substr(0, equals), value = line.substr(equals + 1);
    while (name.ends_with(' ')) name.pop_back();
    value.erase(0, value.find_first_not_of(' '));
    if (name == key) return value;
  }
  return {};
}

// A virtual environment outlives an upgrade of its Python, which then does not find the packages in it.
Result<Done> check_environment(const fs::path& python, const std::string& version) {
  const fs::path venv = python.parent_path().parent_path();
  std::string made_for = value_in(venv / "pyvenv.cfg", "version");
  if (made_for.empty()) made_for = value_in(venv / "pyvenv.cfg", "version_info");  // virtualenv's name for it
  made_for.resize(std::min(made_for.size(), made_for.find('.', made_for.find('.') + 1)));
  if (made_for.empty() || made_for == version) return Done{};
  return Error{"virtual environment " + venv.string() + " is for Python " + made_for + ", but " + python.string() +
               " is Python " + version + ": make it again with python3 -m venv " + venv.string()};
}

// The plugin for the interpreter of the applications, which becomes `config.python`.
Result<std::string> plugin_for_python(const PluginPlaces& places, Config& config) {
  auto python = find_python(venv_of(config), places.variables);
  if (!python) return Error{python.error()};
  const auto version = version_of_python(*python);
  if (!version) return Error{version.error()};
  if (const auto checked = check_environment(*python, *version); !checked) return Error{checked.error()};
  const auto plugin = installed_path(plugin_for(*version), places.directories);
  if (!plugin) return Error{no_plugin_text(*python, *version, versions_at_hand(places.directories))};
  config.python = *std::move(python);
  return *plugin;
}

}  // namespace

std::vector<std::string> find_plugins(const PluginPlaces& places, Config& config) {
  std::vector<std::string> faults;
  std::optional<Result<std::string>> python_plugin;
  const bool can_run_python = !versions_at_hand(places.directories).empty();
  for (Route& route : config.routes) {
    if (!version_of_plugin(route.app).empty())
      faults.push_back("app: " + route.app + " runs Python applications: name the application, as in shop:app");
    if (is_plugin_path(route.app)) continue;
    if (!is_python(route, places.directories)) {
      route.app = *installed_path(route.app, places.directories);
    } else if (can_run_python) {
      if (!python_plugin) python_plugin = plugin_for_python(places, config);
      if (*python_plugin) {
        route.plugin = **python_plugin;
      } else if (faults.empty()) {
        const std::string guess = is_python_app(route.app) ? "" : taken_for_python_text(route.app);
        faults.push_back("app '" + route.app + "': " + python_plugin->error() + guess);
      }
    } else if (is_python_app(route.app)) {
      const auto& directories = places.directories;
      faults.push_back("app: '" + route.app +
                       "' is a Python application, but the plugin that runs it, wsgi-cpVERSION.so, is not " +
                       (directories.empty() ? "installed" : "in " + joined(directories, " or ")) +
                       ": install narwhal again, and restart the server if it runs");
    } else if (!places.directories.empty()) {
      route.app = places.directories.back() + "/" + route.app + ".so";  // for the message that it does not exist
    }
  }
  return faults;
}

}  // namespace narwhal::server
