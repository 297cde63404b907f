#include "server/debug_run.hpp"

#include <algorithm>
#include <utility>

#include "core/app_title.hpp"
#include "core/joined.hpp"
#include "core/log.hpp"
#include "core/log_output.hpp"
#include "core/process_title.hpp"
#include "server/child_environment.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"
#include "server/prepare.hpp"
#include "server/python_template.hpp"

namespace narwhal::server {
namespace {

// What only a master, a second process or a reload could do. Each has its default value in debug mode.
constexpr std::string_view without_meaning[] = {"preload_app",
                                                "reload",
                                                "reload_engine",
                                                "reload_extra_files",
                                                "workers",
                                                "max_requests",
                                                "max_requests_jitter",
                                                "max_worker_memory",
                                                "max_worker_lifetime",
                                                "worker_memory_max",
                                                "canary",
                                                "daemon",
                                                "enable_stdio_inheritance",
                                                "user",
                                                "group",
                                                "initgroups",
                                                "pidfile",
                                                "control_socket",
                                                "control_socket_mode",
                                                "admin_bind",
                                                "stage_dir",
                                                "allow_new_privileges",
                                                "keep_capabilities",
                                                "seccomp",
                                                "seccomp_file",
                                                "probation",
                                                "canary_time",
                                                "poison_limit",
                                                "poison_window",
                                                "logger_class",
                                                "logconfig",
                                                "logconfig_json",
                                                "syslog",
                                                "syslog_addr",
                                                "syslog_prefix",
                                                "syslog_facility",
                                                "disable_redirect_access_to_syslog",
                                                "statsd_host",
                                                "statsd_prefix",
                                                "dogstatsd_tags",
                                                "enable_backlog_metric"};

void log_start(const LoadedConfig& loaded, const std::vector<std::string>& notices) {
  log::write(LogLevel::warning,
             "Debug mode: one process, no supervision, no time limits of handlers; Ctrl-C (INT) or TERM ends it");
  for (const std::string& notice : notices) log::write(LogLevel::warning, notice);
  const std::vector<std::string> ignored = ignored_in_debug(loaded);
  if (!ignored.empty()) log::write(LogLevel::warning, "Debug mode ignores these settings: " + joined(ignored, ", "));
}

Result<Fd> open_access_log(const Config& config) {
  if (config.accesslog.empty()) return Fd();
  if (config.accesslog == "-") return open_own_description(STDOUT_FILENO);
  return open_log_file(config.accesslog);
}

Plan prepare(const Config& config, InheritedSockets& inherited) {
  StageArea sources = StageArea::of_sources();
  Prepared prepared = prepare_first(config, sources, inherited);
  if (const auto* failed = std::get_if<FailedStep>(&prepared)) throw StartupError(failed->reason);
  return std::get<Plan>(std::move(prepared));
}

}  // namespace

Config debug_config(const Config& config) {
  static const Config defaults;
  Config changed = config;
  for (const std::string_view name : without_meaning)
    std::visit([&](auto member) { changed.*member = defaults.*member; }, find_setting(name)->member);
  changed.timeout = changed.soft_timeout = changed.boot_timeout = changed.heartbeat_timeout = std::chrono::seconds{0};
  for (Route& route : changed.routes) route.timeout = route.soft_timeout = std::nullopt;
  changed.has_master_hooks = changed.logconfig_dict = changed.conf_changes_loggers = false;
  return changed;
}

std::vector<std::string> ignored_in_debug(const LoadedConfig& loaded) {
  const Config& given = loaded.config;
  const Config used = debug_config(given);
  std::vector<std::string> names;
  for (const Origin& origin : loaded.origins) {
    const Setting* const setting = find_setting(origin.key);
    if (origin.from != "default" && setting != nullptr && !same_value(*setting, given, used))
      names.push_back(origin.key);
  }
  const auto has_limit = [](const Route& route) { return route.timeout || route.soft_timeout; };
  if (std::any_of(given.routes.begin(), given.routes.end(), has_limit)) names.emplace_back("the time limits of routes");
  if (given.has_master_hooks) names.push_back("the master's hooks of " + given.conf_file);
  if (given.logconfig_dict) names.emplace_back("logconfig_dict");
  return names;
}

int debug(const LoadedConfig& loaded, const std::vector<std::string>& notices, InheritedSockets& inherited,
          const TemplateBody& body) {
  const Config config = debug_config(loaded.config);
  or_throw(log::open(config.errorlog, config.loglevel));
  log_start(loaded, notices);
  if (config.capture_output) or_throw(log::capture_output());
  const Fd access_log = or_throw(open_access_log(config));
  const Plan plan = prepare(config, inherited);  // its end removes the files of Unix sockets
  log::info("Listening at: {} ({})",
            joined(plan.listeners, ",", [](const auto& each) -> const std::string& { return each->address; }),
            ::getpid());
  set_process_title("narwhal: debug [" + app_title(config) + "]");
  or_throw(enter_application_environment(config));
  Scoreboard scoreboard = or_throw(Scoreboard::create());
  TemplateSeat seat;
  seat.generation = plan.generation;
  seat.scoreboard = &scoreboard;
  seat.access_log = access_log ? access_log.get() : -1;
  for (const auto& listener : plan.listeners) seat.listeners.push_back(listener.get());
  if (needs_python(config)) throw StartupError(become_python(seat, PythonTask::debug).message);
  return body(std::move(seat));
}

}  // namespace narwhal::server
