#include "server/config/load_config.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/bind_text.hpp"
#include "core/joined.hpp"
#include "server/config/absolute_paths.hpp"
#include "server/config/bind_address.hpp"
#include "server/config/command_line.hpp"
#include "server/config/config_source.hpp"
#include "server/config/config_text.hpp"
#include "server/config/find_plugins.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "server/config/log_settings.hpp"
#include "server/config/python_app.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"
#include "server/config/shell_words.hpp"
#include "server/config/worker_class.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t faults_max = 50;  // more are only counted: such a file was hardly written for narwhal
constexpr int exit_refused = 1, exit_usage = 2;

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.variables.find(name);
  return found == environment.variables.end() ? "" : found->second;
}

// The defaults that Gunicorn takes from the environment as well, and the virtual environment that contains the program.
// An empty PORT or WEB_CONCURRENCY is treated as absent.
Layer environment_layer(const std::string& program, const Environment& environment) {
  Layer layer;
  const auto assign = [&](const char* name, const char* setting, const std::string& text) {
    layer.assignments.push_back({find_setting(setting), {{text, std::string("environment variable ") + name}}, name});
  };
  if (const std::string port = variable(environment, "PORT"); !port.empty()) {
    const std::string address = "0.0.0.0:" + port;
    if (const Result<Bind> bind = parse_bind(address); bind) {
      assign("PORT", "bind", address);
    } else {  // its own text: nobody wrote the address
      layer.faults.push_back("environment variable PORT: " + bind.error() + "; change it or unset it");
    }
  }
  if (const std::string count = variable(environment, "WEB_CONCURRENCY"); !count.empty()) {
    assign("WEB_CONCURRENCY", "workers", count);
  }
  // These two have a meaning when they are empty, as with Gunicorn: trust nobody, and do not use sendfile().
  if (environment.variables.contains("FORWARDED_ALLOW_IPS")) {
    assign("FORWARDED_ALLOW_IPS", "forwarded_allow_ips", variable(environment, "FORWARDED_ALLOW_IPS"));
  }
  if (environment.variables.contains("SENDFILE")) {
    assign("SENDFILE", "sendfile", means_yes(variable(environment, "SENDFILE")) ? "true" : "false");
  }
  const std::string venv = venv_of_program(program, variable(environment, "PATH"), environment.start_directory);
  const std::string beside = "beside the program";
  if (!venv.empty()) layer.assignments.push_back({find_setting("venv"), {{venv, beside}}, beside});
  return layer;
}

CommandLine variable_line(const Environment& environment) {
  const bool is_ours = environment.variables.contains("NARWHAL_CMD_ARGS");
  const std::string source = is_ours ? "NARWHAL_CMD_ARGS" : "GUNICORN_CMD_ARGS";
  Result<std::vector<std::string>> words = split_shell_words(variable(environment, source));
  CommandLine line;
  if (words) {
    line = parse_command_line(*std::move(words), source);
  } else {
    line.layer.faults.push_back(source + ": " + words.error());
  }
  line.layer.exit_code = exit_usage;
  return line;
}

// What a Python program has given to narwhal.run(): the text of a narwhal.yaml.
Layer settings_layer(const Environment& environment) {
  return read_yaml_text(variable(environment, "NARWHAL_SETTINGS"), "NARWHAL_SETTINGS");
}

std::vector<Origin> list_origins(const Draft& draft) {
  std::vector<Origin> origins;
  const auto add = [&](std::string_view key) {
    const auto found = draft.origins.find(key);
    origins.push_back({std::string(key), found == draft.origins.end() ? "default" : found->second});
  };
  add("app");
  add("routes");
  for (const Setting& setting : settings()) add(setting.name);
  return origins;
}

LoadResult refuse(std::vector<std::string> faults, int exit_code) {
  if (faults.size() > faults_max) {
    const std::size_t more = faults.size() - faults_max;
    faults.resize(faults_max);
    faults.push_back("and " + std::to_string(more) + " more");
  }
  LoadResult result{Error{joined(faults, "\n")}};
  result.faults = std::move(faults);
  result.exit_code = exit_code;
  return result;
}

// $PWD rather than getcwd() if both are the same directory: a path through a symbolic link (".../current") then follows
// the link again at each reload.
std::string working_directory() {
  const char* shown = ::getenv("PWD");
  struct stat by_name {
  }, here{};
  const bool same = shown != nullptr && shown[0] == '/' && ::stat(shown, &by_name) == 0 && ::stat(".", &here) == 0 &&
                    by_name.st_dev == here.st_dev && by_name.st_ino == here.st_ino;
  if (same) return shown;
  std::error_code gone;
  const std::filesystem::path path = std::filesystem::current_path(gone);
  return gone ? "/" : path.string();
}

// Next to this program (in a build folder and in a Python package), then where "meson install" puts plugins.
std::vector<std::string> plugin_directories() {
  std::error_code unknown;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  std::vector<std::string> directories;
  if (!unknown) directories.push_back((self.parent_path() / "plugins").string());
  if (*NARWHAL_PLUGIN_DIR != '\0') directories.emplace_back(NARWHAL_PLUGIN_DIR);
  return directories;
}

// What argv and NARWHAL_CMD_ARGS (or GUNICORN_CMD_ARGS) say, and which file they name.
struct Words {
  std::string program;
  CommandLine line, from_variable;
  Mode mode;
  ConfigSource source;
};

Words read_words(int argc, const char* const* argv, const Environment& environment) {
  Words words{argc > 0 ? argv[0] : "",
              parse_command_line({argv + std::min(argc, 1), argv + argc}, "command line"),
              variable_line(environment),
              Mode::serve,
              {}};
  words.line.layer.exit_code = exit_usage;
  words.mode = words.line.mode.value_or(words.from_variable.mode.value_or(Mode::serve));
  words.source = choose_source(words.line.config ? words.line.config : words.from_variable.config, environment);
  return words;
}

// Only Python applications bring a Python that could run those of workers.
void settle_hooks(SourceText& file, Config& config) {
  config.has_master_hooks = file.has_master_hooks;
  if (file.hooks.empty()) return;
  const bool has_python =
      std::any_of(config.routes.begin(), config.routes.end(), [](const Route& route) { return !route.plugin.empty(); });
  if (has_python) {
    config.has_worker_hooks = true;
  } else {
    file.not_used.insert(file.not_used.end(), file.hooks.begin(), file.hooks.end());
  }
}

// What was set and has no effect.
void add_notices(const ConfigSource& source, const SourceText& file, const Environment& environment,
                 std::vector<std::string>& notices) {
  if (!file.not_used.empty())
    notices.push_back(source.shown_name +
                      ": ignored, because narwhal does not use them: " + joined(file.not_used, ", "));
  const bool has_both = environment.variables.contains("NARWHAL_CMD_ARGS");
  if (has_both && !variable(environment, "GUNICORN_CMD_ARGS").empty())
    notices.emplace_back("GUNICORN_CMD_ARGS is ignored, because NARWHAL_CMD_ARGS is set");
}

// After "--bind ./shop.so" the plugin's name is an address.
std::string no_application_text(const Config& config) {
  const std::string text =
      "no application: name one on the command line (narwhal ./app.so) or in narwhal.yaml (app, routes)";
  for (const Bind& bind : config.bind) {
    const std::string& taken = bind.kind == Bind::Kind::tcp ? bind.host : bind.path;
    if (taken.ends_with(".so")) return text + "; '" + taken + "' was taken for the address of --bind";
  }
  return text;
}

LoadedConfig finish(Draft draft, Mode mode) {
  LoadedConfig loaded{std::move(draft.config), list_origins(draft), mode, "", std::move(draft.notices)};
  if (mode == Mode::print) loaded.text = print_text(loaded.config, loaded.origins);
  return loaded;
}

// What listens at admin_bind takes no commands, so that its users need not be trusted. Who may speak what is checked where all
// sources are one.
void check_sockets(Draft& draft) {
  for (const Bind& bind : draft.config.admin_bind) {
    if (bind.wire.value_or(Wire::http) != Wire::http)
      draft.faults.push_back("admin_bind: " + configured_text(bind) + ": the admin process speaks HTTP only");
    if (bind.kind == Bind::Kind::tcp) continue;
    draft.faults.push_back("admin_bind: " + bind_text(bind) +
                           ": give a host and a port; for a Unix socket there is control_socket");
  }
  for (const Bind& bind : draft.config.bind) {
    if (bind.options.allow_from && bind.wire.value_or(draft.config.protocol) == Wire::http)
      draft.faults.push_back("bind: " + configured_text(bind) +
                             ": allow_from is for fastcgi://, scgi:// and uwsgi://, and HTTP is spoken there");
    if (bind.kind == Bind::Kind::unix_socket && bind.path == draft.config.control_socket)
      draft.faults.push_back("control_socket: " + bind.path + " is a 'bind' of the applications: give it another path");
  }
}

}  // namespace

Environment current_environment(std::string version) {
  Environment environment;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  environment.start_directory = working_directory();
  environment.version = std::move(version);
  environment.plugin_directories = plugin_directories();
  return environment;
}

std::optional<PythonConfigRequest> python_config_request(int argc, const char* const* argv,
                                                         const Environment& environment) {
  const Words words = read_words(argc, argv, environment);
  if (words.mode == Mode::help || words.mode == Mode::version) return std::nullopt;
  if (words.source.kind != ConfigSource::Kind::python) return std::nullopt;
  PythonConfigRequest request = request_for(words.source, environment);
  // The file's own values for these come too late for reading the file.
  Config known = merge_layers({environment_layer(words.program, environment), words.from_variable.layer,
                               settings_layer(environment), words.line.layer})
                     .config;
  make_paths_absolute(environment.start_directory, known);
  request.limit = known.boot_timeout;
  request.venv = known.venv;
  return request;
}

LoadResult load_config(int argc, const char* const* argv, const Environment& environment) {
  std::optional<PythonConfigReading> ended_on_return;
  return load_config(argc, argv, environment, ended_on_return);
}

LoadResult load_config(int argc, const char* const* argv, const Environment& environment,
                       std::optional<PythonConfigReading>& reading) {
  const auto request = python_config_request(argc, argv, environment);
  if (!request) return load_config(argc, argv, environment, std::nullopt);
  return load_config(argc, argv, environment, read_python_config(*request, reading));
}

LoadResult load_config(int argc, const char* const* argv, const Environment& environment,
                       const std::optional<Result<std::string>>& python_answer) {
  Words words = read_words(argc, argv, environment);
  if (words.mode == Mode::help) return LoadedConfig{{}, {}, words.mode, help_text(), {}};
  if (words.mode == Mode::version) {
    return LoadedConfig{{}, {}, words.mode, "narwhal (version " + environment.version + ")\n", {}};
  }
  SourceText file;
  if (words.source.kind == ConfigSource::Kind::yaml) file.layer = read_yaml_source(words.source);
  if (words.source.kind == ConfigSource::Kind::python) {
    const Error appeared{words.source.shown_name + ": appeared while the settings were being read: try again"};
    file = read_python_source(words.source, python_answer.value_or(appeared));
  }
  Draft draft =
      merge_layers({environment_layer(words.program, environment), std::move(file.layer),
                    std::move(words.from_variable.layer), settings_layer(environment), std::move(words.line.layer)});
  const std::vector<std::string> odd_paths = make_paths_absolute(environment.start_directory, draft.config);
  draft.faults.insert(draft.faults.end(), odd_paths.begin(), odd_paths.end());
  const std::vector<std::string> homeless =
      find_plugins({environment.plugin_directories, environment.variables}, draft.config);
  draft.faults.insert(draft.faults.end(), homeless.begin(), homeless.end());
  settle_worker_class(draft);
  settle_logs(draft);
  check_sockets(draft);
  if (draft.faults.empty() && draft.config.routes.empty() && words.mode != Mode::print) {
    draft.faults.push_back(no_application_text(draft.config));
  }
  if (!draft.faults.empty()) return refuse(std::move(draft.faults), std::max(draft.exit_code, exit_refused));
  settle_hooks(file, draft.config);
  draft.config.logconfig_dict = file.has_logconfig_dict;
  draft.config.conf_changes_loggers = file.changes_loggers;
  if (words.source.kind == ConfigSource::Kind::python) draft.config.conf_file = words.source.location;
  LoadedConfig loaded = finish(std::move(draft), words.mode);
  add_notices(words.source, file, environment, loaded.notices);
  return loaded;
}

Result<Config> parse_config(std::string_view yaml, const std::string& file_name) {
  Draft draft = merge_layers({read_yaml_text(yaml, file_name)});
  if (draft.faults.empty()) return std::move(draft.config);
  return Error{refuse(std::move(draft.faults), exit_refused).error()};
}

std::vector<std::string> needs_restart(const Config& running, const Config& next) {
  std::vector<std::string> keys;
  for (const Setting& setting : settings()) {
    const bool changed = setting.change == Setting::Change::restart && !same_value(setting, running, next);
    if (changed) keys.emplace_back(setting.name);
  }
  return keys;
}

}  // namespace narwhal::server
