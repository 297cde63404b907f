#include "server/prepare.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "core/system_calls.hpp"
#include "server/config/python_app.hpp"
#include "server/sockets/listeners.hpp"
#include "server/staging/staging.hpp"
#include "server/unit_advice.hpp"

namespace narwhal::server {
namespace {

std::string without_prefix(std::string text, std::string_view prefix) {
  if (text.starts_with(prefix)) text.erase(0, prefix.size());
  return text;
}

// "./shop.py" and "web/shop:app" are likely attempts to name a Python application.
bool may_mean_python(std::string_view app) {
  return app.ends_with(".py") || app.find(':', app.rfind('/') + 1) != std::string_view::npos;
}

// Whether the user of the workers may enter it is seen when they do.
Result<Done> check_directory(const Config& config) {
  if (config.chdir.empty()) return Done{};
  struct stat facts {};
  const std::string what = "change to the directory " + config.chdir + " (chdir)";
  if (::stat(config.chdir.c_str(), &facts) != 0) return errno_error(what);
  if (!S_ISDIR(facts.st_mode)) return Error{what + ": it is not a directory"};
  return Done{};
}

// Messages about a Python app name the app, not the plugin that runs it.
Result<StagedPlugin> stage_route(const Route& route, StageArea& area) {
  auto staged = stage_plugin(route.plugin.empty() ? route.app : route.plugin, area);
  if (route.plugin.empty()) {
    if (staged) return staged;
    if (may_mean_python(route.app)) {
      return Error{staged.error() + " (name a Python application by its module, as in web.shop:app)"};
    }
    struct stat facts {};
    if (::stat(route.app.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) {
      return Error{
          route.app +
          ": is a directory (name a plugin in it, as in dir/shop.so; with --chdir, a Python application in it: "
          "shop:app)"};
    }
    if (::access(route.app.c_str(), F_OK) == 0) return staged;
    return Error{staged.error() +
                 " (name a plugin by its path, as in ./shop.so; --chdir sets where relative paths start)"};
  }
  if (!staged) return Error{"stage " + route.app + ": " + without_prefix(staged.error(), "stage ")};
  staged->source = route.app;
  return staged;
}

// Python's program loads it beside the plugin. Its own copy, so that an upgrade does not touch what runs.
Result<StagedPlugin> stage_python_library(const Config& config, StageArea& area) {
  for (const Route& route : config.routes) {
    if (route.plugin.empty()) continue;
    return stage_library(std::filesystem::path(route.plugin).replace_filename("libnarwhal-worker.so"), area);
  }
  return StagedPlugin{};
}

// seccomp sets no_new_privs, or the kernel would not take a filter from a process without rights.
Result<std::vector<int>> listed_system_calls(const Config& config) {
  if (config.seccomp == Seccomp::off) return std::vector<int>();
  if (config.seccomp_file.empty()) return Error{"seccomp_file: name the file with the list of system calls"};
  if (config.allow_new_privileges)
    return Error{"seccomp: it goes with no new privileges: remove allow_new_privileges, or set seccomp to off"};
  if (config.seccomp == Seccomp::enforce) return read_system_calls(config.seccomp_file, IfMissing::is_an_error);
  struct stat facts {};
  const auto folder = std::filesystem::path(config.seccomp_file).parent_path();
  if (::stat(folder.c_str(), &facts) != 0) return errno_error("seccomp_file: open " + config.seccomp_file);
  return read_system_calls(config.seccomp_file, IfMissing::is_empty);
}

Prepared assemble(const Config& config, std::uint64_t number, Result<ListenerList> listeners, StageArea& area) {
  if (!listeners) return FailedStep{"bind", listeners.error()};
  auto identity = resolve_identity(config.user, config.group);
  if (!identity) return FailedStep{"config", identity.error()};
  if (const auto possible = advised(check_identity(*identity), UnitMeans::user); !possible) {
    return FailedStep{"config", possible.error()};
  }
  if (const auto found = check_directory(config); !found) return FailedStep{"config", found.error()};
  auto system_calls = listed_system_calls(config);
  if (!system_calls) return FailedStep{"config", system_calls.error()};
  auto generation = std::make_shared<Generation>();
  generation->number = number;
  generation->config = config;
  generation->system_calls = *std::move(system_calls);
  for (Route& route : generation->config.routes) {
    auto staged = stage_route(route, area);
    if (!staged) return FailedStep{"stage", without_prefix(staged.error(), "stage ")};
    generation->plugins.push_back(*std::move(staged));
    if (!route.plugin.empty()) route.options = python_options(config, route);
  }
  auto library = stage_python_library(config, area);
  if (!library) return FailedStep{"stage", without_prefix(library.error(), "stage ")};
  generation->python_library = *std::move(library);
  return Plan{std::move(generation), *std::move(listeners), *std::move(identity)};
}

}  // namespace

Prepared prepare_check(const Config& config, StageArea& area) {
  if (const auto possible = check_binds(config); !possible) return FailedStep{"bind", possible.error()};
  return assemble(config, 1, ListenerList{}, area);
}

Prepared prepare_first(const Config& config, StageArea& area, InheritedSockets& inherited) {
  return assemble(config, 1, listen_at_start(config, inherited), area);
}

Prepared prepare_next(const Config& config, std::uint64_t number, const ListenerList& running, StageArea& area) {
  return assemble(config, number, listen_for_reload(config, running), area);
}

Prepared prepare_again(const Plan& earlier, std::uint64_t number, const ListenerList& running) {
  auto listeners = listen_for_reload(earlier.config(), running);
  if (!listeners) return FailedStep{"bind", listeners.error()};
  auto generation = std::make_shared<Generation>(*earlier.generation);
  generation->number = number;
  return Plan{std::move(generation), *std::move(listeners), earlier.identity, earlier.hooks};
}

}  // namespace narwhal::server
