#include "server/config/python_app.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "core/access_format.hpp"
#include "core/joined.hpp"
#include "core/json_text.hpp"
#include "core/log_records.hpp"
#include "server/config/absolute_paths.hpp"
#include "server/config/is_program.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings_json.hpp"

namespace narwhal::server {
namespace {

namespace fs = std::filesystem;

// The path where a shell finds `program`.
fs::path called_path(const std::string& program, std::string_view path, const std::string& directory) {
  if (program.find('/') != std::string::npos) return absolute_path(directory, program);
  while (!program.empty() && !path.empty()) {
    const std::size_t colon = path.find(':');
    const fs::path candidate = fs::path(absolute_path(directory, std::string(path.substr(0, colon)))) / program;
    if (is_program(candidate)) return candidate;
    path = colon == std::string_view::npos ? std::string_view{} : path.substr(colon + 1);
  }
  return {};
}

// For the loggers of the application: plugins/wsgi/python/process_loggers.py.
std::string logging_json(const Config& config) {
  std::string json = R"({"has_logconfig_dict":)" + std::string(config.logconfig_dict ? "true" : "false");
  const std::pair<const char*, const std::string&> texts[] = {
      {"conf_file", config.conf_file}, {"logconfig", config.logconfig}, {"logconfig_json", config.logconfig_json}};
  for (const auto& [name, text] : texts) {
    json += std::string(",\"") + name + "\":";
    append_json_string(json, text);
  }
  return json + "}";
}

}  // namespace

Options python_options(const Config& config, const Route& route) {
  const auto has_own = [&](std::string_view key) {
    return std::any_of(route.options.begin(), route.options.end(), [&](const auto& own) { return own.first == key; });
  };
  Options options{{"app", route.app}};
  const Options settings{
      {"venv", config.venv},
      {"pythonpath", joined(config.pythonpath, ",")},
      {"hooks", config.conf_file},
      {"hooks_required", config.conf_file.empty() || config.has_worker_hooks ? "" : "false"},
      {"settings", config.conf_file.empty() ? "" : settings_json(config)},
      {"preload", config.preload_app ? "" : "false"},
      {"loglevel", config.loglevel == LogLevel::info ? "" : value_texts(*find_setting("loglevel"), config).front()},
      {"logging", needs_log_process(config) ? logging_json(config) : ""},
      {"log_environ", joined(compile_access_format(config.access_log_format).names_of('e'), ",")},
      {"request_buffering", config.request_buffering ? "" : "false"},
      {"sendfile", config.sendfile ? "" : "false"}};
  for (const auto& setting : settings) {
    if (!setting.second.empty() && !has_own(setting.first)) options.push_back(setting);
  }
  options.insert(options.end(), route.options.begin(), route.options.end());
  return options;
}

std::string venv_of_program(const std::string& program, const std::string& path, const std::string& directory) {
  const fs::path folder = called_path(program, path, directory).lexically_normal().parent_path();
  std::error_code absent;
  const bool is_venv = folder.has_parent_path() && is_program(folder / "python") &&
                       fs::is_regular_file(folder.parent_path() / "pyvenv.cfg", absent);
  return is_venv ? folder.parent_path().string() : "";
}

}  // namespace narwhal::server
