#include "server/config/config_source.hpp"

#include <sys/stat.h>

#include <algorithm>
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

// "workers: 2", "'workers':", "--- # settings", "{workers: 2}"; not "try:", nor "workers: int = 2".
bool begins_yaml(std::string_view line) {
  if (line.starts_with("---") || line.starts_with("- ") || line.starts_with('{') || line.starts_with('%')) return true;
  const bool quoted = line.starts_with('"') || line.starts_with('\'');
  const std::size_t name_at = quoted ? 1 : 0;
  std::size_t at = line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", name_at);
  if (at == std::string_view::npos || at == name_at) return false;
  const std::string_view name = line.substr(name_at, at - name_at);
  if (quoted && line[at++] != line[0]) return false;
  at = std::min(line.find_first_not_of(" \t", at), line.size());
  if (at == line.size() || line[at] != ':') return false;
  const std::string_view value = line.substr(at + 1);
  const bool is_key = value.empty() || value.front() == ' ' || value.front() == '\t' || value.front() == '\r';
  constexpr std::string_view type_bytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,|[] ";
  const std::size_t type_end = value.find_first_not_of(type_bytes);
  const bool is_annotation = type_end != std::string_view::npos && value[type_end] == '=';
  return is_key && name != "try" && !is_annotation;
}

// Of a file whose name does not say it: YAML's first line is a key, "workers: 2", or begins a document or a map. One that
// cannot be read, or has nothing but comments, is left to YAML's reader.
bool looks_like_python(const std::string& path) {
  const Result<FileText> file = read_config_file(path);
  if (!file || !file->found) return false;
  std::string_view text = file->text;
  if (text.starts_with("#!") && text.substr(0, text.find('\n')).find("python") != std::string_view::npos) return true;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t start = line.find_first_not_of(" \t\r\f\xef\xbb\xbf");  // the last three: a byte order mark
    if (start == std::string_view::npos || line[start] == '#') continue;
    return !begins_yaml(line.substr(start));
  }
  return false;
}

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
  const bool is_python =
      path.ends_with(".py") || (!is_yaml_name(path) && (has_scheme || looks_like_python(in_start(path))));
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
  result.has_logconfig_dict = file.has_logconfig_dict;
  result.changes_loggers = file.changes_loggers;
  result.has_master_hooks = file.has_master_hooks;
  result.not_used = std::move(file.not_used);
  return result;
}

}  // namespace narwhal::server
