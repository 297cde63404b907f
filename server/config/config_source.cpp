#include "server/config/config_source.hpp"

#include <sys/stat.h>

#include <string_view>

#include "server/config/absolute_paths.hpp"
#include "server/config/config_file.hpp"
#include "server/config/config_keys.hpp"
#include "server/config/gunicorn_file.hpp"

namespace narwhal::server {
namespace {

constexpr const char* yaml_file = "narwhal.yaml";
constexpr const char* python_file = "gunicorn.conf.py";
constexpr std::string_view module_scheme = "python:", file_scheme = "file:";

// Of any type: one that cannot be read is reported, not skipped.
bool is_there(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

bool is_yaml_name(std::string_view name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

}  // namespace

ConfigSource choose_source(const std::optional<std::string>& named, const Environment& environment) {
  using Kind = ConfigSource::Kind;
  const auto in_start = [&](const std::string& path) { return absolute_path(environment.start_directory, path); };
  if (!named) {
    for (const auto& [kind, name] : {std::pair{Kind::yaml, yaml_file}, std::pair{Kind::python, python_file}}) {
      if (is_there(in_start(name))) return {kind, name, in_start(name), false};
    }
    return {};
  }
  if (named->starts_with(module_scheme)) return {Kind::python, *named, *named, true};
  const bool has_scheme = named->starts_with(file_scheme);
  const std::string path = has_scheme ? named->substr(file_scheme.size()) : *named;
  const bool is_python = path.ends_with(".py") || (has_scheme && !is_yaml_name(path));
  return {is_python ? Kind::python : Kind::yaml, path, in_start(path), true};
}

Layer read_yaml_text(std::string_view text, const std::string& shown_name) {
  Result<YamlNode> document = parse_yaml(text, shown_name);
  if (document) return read_keys(*document, shown_name);
  Layer layer;
  layer.faults.push_back(document.error());
  return layer;
}

Layer read_yaml_source(const ConfigSource& source) {
  Result<FileText> file = read_config_file(source.location);
  Layer layer;
  if (file && file->found) {
    layer = read_yaml_text(file->text, source.shown_name);
    layer.files = {source.location};
    return layer;
  }
  if (!file) {
    layer.faults.push_back(file.error());
  } else if (source.named) {
    layer.faults.push_back(source.shown_name + ": there is no such file");
  }
  return layer;
}

PythonConfigRequest request_for(const ConfigSource& source, const Environment& environment) {
  PythonConfigRequest request;
  request.shown_name = source.shown_name;
  request.location = source.location;
  request.names = gunicorn_names();
  request.variables = environment.variables;
  request.directory = environment.start_directory;
  return request;
}

SourceText read_python_source(const ConfigSource& source, const Result<std::string>& answer) {
  SourceText result;
  if (!answer) {
    result.layer.faults.push_back(answer.error());
    return result;
  }
  GunicornFile file = read_gunicorn_answer(*answer, source.shown_name);
  result.layer = std::move(file.layer);
  if (!file.path.empty()) result.layer.files = {file.path};
  result.hooks = std::move(file.hooks);
  result.not_used = std::move(file.not_used);
  return result;
}

}  // namespace narwhal::server
