#include "server/config/gunicorn_file.hpp"

#include <algorithm>
#include <utility>

#include "core/nearest_name.hpp"
#include "server/config/config_file.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "server/config/gunicorn_value.hpp"

namespace narwhal::server {
namespace {

using Kind = YamlNode::Kind;

constexpr std::string_view app_key = "wsgi_app";
constexpr std::string_view logconfig_key = "logconfig_dict";

constexpr std::string_view worker_hooks[] = {"post_fork",  "post_worker_init", "pre_request", "post_request",
                                             "worker_int", "worker_abort",     "worker_exit"};
constexpr std::string_view master_hooks[] = {"on_starting", "on_reload",        "when_ready", "pre_fork",
                                             "child_exit",  "nworkers_changed", "on_exit",    "pre_exec"};

// Settings that only narwhal has.
constexpr std::string_view unknown_to_gunicorn[] = {
    "queue_size",
    "stage_dir",
    "boot_timeout",
    "header_timeout",
    "body_timeout",
    "write_timeout",
    "heartbeat_timeout",
    "probation",
    "soft_timeout",
    "poison_limit",
    "poison_window",
    "canary",
    "canary_time",
    "worker_memory_max",
    "limit_request_body",
    "min_rate",
    "body_buffer_size",
    "response_buffer_size",
    "server_header",
    "venv",
    "request_buffering",
    "max_worker_memory",
    "max_worker_lifetime",
    "client_header",
    "allow_new_privileges",
    "keep_capabilities",
    "seccomp",
    "seccomp_file",
    "admin_bind",
    "gateway_allow_ips",
};

template <class Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// The texts of a list of scalars, cut or filled with empty ones to `columns`.
std::vector<std::string> row_of(const YamlNode& node, std::size_t columns) {
  std::vector<std::string> row;
  for (const YamlNode& item : node.items) row.push_back(item.text);
  row.resize(columns);
  return row;
}

PythonValue value_of(const std::string& type, const YamlNode& node) {
  PythonValue value{type, node.text, {}};
  for (const YamlNode& item : node.items) {
    std::vector<std::string> row = row_of(item, 3);
    if (type == "list") row.insert(row.begin(), "");
    value.items.push_back({row[0], row[1], row[2]});
  }
  return value;
}

class AnswerReader {
 public:
  explicit AnswerReader(const std::string& shown_name) : shown_name_(shown_name) {}

  GunicornFile read(const YamlNode& answer) {
    for (std::size_t at = 0; at + 1 < answer.items.size(); at += 2) {
      const std::string& key = answer.items[at].text;
      const YamlNode& value = answer.items[at + 1];
      if (key == "file") file_.path = value.text;
      if (key == "fault") read_fault(value);
      if (key == "settings") read_settings(value);
      if (key == "others") read_others(value);
      if (key == "loggers") file_.changes_loggers = true;
    }
    return std::move(file_);
  }

  GunicornFile refuse(const std::string& reason) {
    fault(shown_name_ + ": " + reason);
    return std::move(file_);
  }

 private:
  void fault(std::string text) { file_.layer.faults.push_back(std::move(text)); }
  // "gunicorn.conf.py:3"; line 0 means unknown, as for a name that `import *` defined.
  std::string place(const std::string& line) const { return line == "0" ? shown_name_ : shown_name_ + ":" + line; }

  void read_fault(const YamlNode& node) {
    const std::vector<std::string> row = row_of(node, 2);
    fault(place(row[0]) + ": " + row[1]);
  }

  void read_settings(const YamlNode& rows) {
    for (const YamlNode& row : rows.items) {
      if (row.items.size() != 4) continue;
      read_name(row.items[0].text, place(row.items[1].text), value_of(row.items[2].text, row.items[3]));
    }
  }

  // Gunicorn ignores names that it does not know, so a typing error costs the setting.
  void read_others(const YamlNode& rows) {
    for (const YamlNode& row : rows.items) {
      const std::vector<std::string> cells = row_of(row, 2);
      const std::string_view near = nearest_name(cells[0], gunicorn_names(), 1);
      if (near.empty()) continue;
      file_.layer.notices.push_back(place(cells[1]) + ": '" + cells[0] + "' is not a setting: did you mean '" +
                                    std::string(near) + "'?");
    }
  }

  void read_name(const std::string& name, const std::string& where, const PythonValue& value) {
    if (name == app_key) return read_app(where, value);
    if (name == logconfig_key) return read_logconfig(where, value);
    if (holds(worker_hooks, name) || holds(master_hooks, name)) return read_hook(name, where, value);
    if (const Setting* setting = find_setting(name)) return read_setting(*setting, where, value);
    if (const GunicornSetting* foreign = find_gunicorn_setting(name)) read_foreign(*foreign, where, value);
  }

  void read_foreign(const GunicornSetting& setting, const std::string& where, const PythonValue& value) {
    if (value.is_false()) return;
    if (setting.other == GunicornSetting::Other::hook) return file_.not_used.emplace_back(setting.name), void();
    const bool has_text = value.is_plain() && value.items.empty();
    const Judgement judged = judge(setting, setting.name, has_text || !value.text.empty() ? value.text : "[]");
    if (!judged.fault.empty()) fault(where + ": " + judged.fault);
    if (!judged.notice.empty()) file_.layer.notices.push_back(where + ": " + judged.notice);
  }

  void read_app(const std::string& where, const PythonValue& value) {
    if (value.is_false()) return;
    if (value.type != "str") return fault(where + ": wsgi_app: is not a string such as 'module:callable'");
    file_.layer.app = Located{value.text, where + ": wsgi_app"};
    file_.layer.origin = where;
  }

  // Its values may be any objects: the log process takes them from the file.
  void read_logconfig(const std::string& where, const PythonValue& value) {
    if (value.is_false()) return;
    if (value.type != "dict") return fault(where + ": logconfig_dict: is not a dictionary");
    file_.has_logconfig_dict = true;
  }

  // A function, or a string that names one, as in Gunicorn.
  void read_hook(const std::string& name, const std::string& where, const PythonValue& value) {
    if (value.type == "None") return;
    if (value.type != "callable" && value.type != "str") return fault(where + ": " + name + ": is not a function");
    if (holds(master_hooks, name)) {
      file_.has_master_hooks = true;
    } else {
      file_.hooks.push_back(name);
    }
  }

  void read_setting(const Setting& setting, const std::string& where, const PythonValue& value) {
    if (holds(unknown_to_gunicorn, setting.name) && !value.is_plain()) return;
    // None means "not set"; only for the lists of trusted peers it means an empty list.
    const bool is_trust = std::holds_alternative<IpRanges Config::*>(setting.member);
    if (value.type == "None" && !is_trust) return;
    const std::string name(setting.name);
    const auto texts = texts_of(setting, value);
    if (!texts) return fault(where + ": " + name + ": " + texts.error());
    if (name == "bind" && texts->empty()) return fault(where + ": " + name + ": is empty: give at least one address");
    Assignment assignment{&setting, {}, where};
    for (const std::string& text : *texts) assignment.values.push_back({text, where + ": " + name});
    file_.layer.assignments.push_back(std::move(assignment));
  }

  const std::string& shown_name_;
  GunicornFile file_;
};

}  // namespace

std::vector<std::string_view> gunicorn_names() {
  std::vector<std::string_view> names;
  for (const GunicornSetting& setting : gunicorn_settings()) names.push_back(setting.name);
  for (const Setting& setting : settings()) names.push_back(setting.name);
  if (!holds(names, app_key)) names.push_back(app_key);
  return names;
}

bool is_only_ours(std::string_view name) { return holds(unknown_to_gunicorn, name); }

GunicornFile read_gunicorn_answer(std::string_view answer, const std::string& shown_name) {
  AnswerReader reader(shown_name);
  const Result<YamlNode> document = parse_yaml(answer, shown_name);
  if (!document)
    return reader.refuse("the answer of the Python process that read it is not valid: " + document.error());
  return reader.read(*document);
}

}  // namespace narwhal::server
