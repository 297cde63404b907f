#include "server/config/config_keys.hpp"

#include <algorithm>
#include <set>

#include "core/host_names.hpp"
#include "core/nearest_name.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "server/config/known_names.hpp"
#include "server/config/routes.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/utf8.hpp"

namespace narwhal::server {
namespace {

using Kind = YamlNode::Kind;

// YAML allows a key of at most 1,024 bytes on one line, and escaped for --print-config it may be four times as long.
constexpr std::size_t name_bytes_max = 200;

const char* kind_text(const YamlNode& node) {
  switch (node.kind) {
    case Kind::null: return "an empty value";
    case Kind::scalar: return "a single value";
    case Kind::list: return "a list";
    case Kind::map: return "a map";
  }
  return "";
}

// Walks one document. Every method continues after a fault, so that one reading reports them all.
class KeyReader {
 public:
  explicit KeyReader(const std::string& file_name) : file_name_(file_name) {}

  Layer read(const YamlNode& document) {
    if (document.kind == Kind::null) return std::move(layer_);
    if (document.kind != Kind::map) {
      fault(document, "", "is " + std::string(kind_text(document)) + ", not a map such as 'workers: 4'");
      return std::move(layer_);
    }
    for_each_key(document, "", [this](const YamlNode& key, const YamlNode& value) { read_key(key, value); });
    return std::move(layer_);
  }

 private:
  std::string where(const YamlNode& node, const std::string& name) const {
    const std::string place = file_name_ + ":" + std::to_string(node.line) + ":" + std::to_string(node.column);
    return name.empty() ? place : place + ": " + name;
  }
  std::string origin(const YamlNode& node) const { return file_name_ + ":" + std::to_string(node.line); }
  void fault(const YamlNode& node, const std::string& name, const std::string& reason) {
    layer_.faults.push_back(where(node, name) + ": " + reason);
  }

  // Calls back for each pair whose key is a plain word that did not appear before.
  template <class Callback>
  void for_each_key(const YamlNode& map, const std::string& name, Callback callback) {
    std::set<std::string> seen;
    for (std::size_t at = 0; at + 1 < map.items.size(); at += 2) {
      const YamlNode& key = map.items[at];
      if (key.kind != Kind::scalar) {
        fault(key, name, "a key must be a word");
      } else if (!seen.insert(key.text).second) {
        fault(key, name, "key '" + key.text + "' appears twice");
      } else {
        callback(key, map.items[at + 1]);
      }
    }
  }

  void read_key(const YamlNode& key, const YamlNode& value) {
    if (key.text == "routes") return read_routes(value);
    if (key.text == "app" || key.text == "wsgi_app") return read_app(key, value);
    if (key.text == "options") {
      layer_.options = Located{"", where(key, "options")};
      layer_.root_places.all = where(key, "");
      layer_.root_options = read_options(value, "options", &layer_.root_places.each);
      return;
    }
    const Setting* setting = find_setting(key.text);
    if (setting != nullptr) return read_setting(*setting, key, value);
    const GunicornSetting* foreign = find_gunicorn_setting(key.text);
    if (foreign == nullptr) return fault(key, "", unknown_key_text(key.text));
    read_foreign(*foreign, key, value);
  }

  void read_foreign(const GunicornSetting& setting, const YamlNode& key, const YamlNode& value) {
    const bool is_full = value.kind == Kind::scalar || !value.items.empty();
    const Judgement judged = judge(setting, key.text, value.kind == Kind::scalar ? value.text : is_full ? "[]" : "");
    if (!judged.fault.empty()) fault(key, "", judged.fault);
    if (!judged.notice.empty()) layer_.notices.push_back(where(key, "") + ": " + judged.notice);
  }

  void read_setting(const Setting& setting, const YamlNode& key, const YamlNode& value) {
    const std::string name(setting.name);
    Assignment assignment{&setting, {}, origin(key)};
    switch (value.kind) {
      case Kind::null: return;  // the default; template engines leave keys like this
      case Kind::scalar: assignment.values.push_back({value.text, where(value, name)}); break;
      case Kind::list:
        if (!setting.is_list()) return fault(value, name, "is a list, not a single value");
        read_items(value, name, assignment);
        break;
      case Kind::map:
        if (!setting.is_map()) return fault(value, name, "is a map, not a single value");
        read_variables(value, name, assignment);
        break;
    }
    if (name == "bind" && assignment.values.empty()) return fault(value, name, "is empty: give at least one address");
    layer_.assignments.push_back(std::move(assignment));
  }

  void read_items(const YamlNode& list, const std::string& name, Assignment& assignment) {
    for (const YamlNode& item : list.items) {
      if (item.kind != Kind::scalar) {
        fault(item, name, "contains " + std::string(kind_text(item)) + " where a single value is expected");
      } else {
        assignment.values.push_back({item.text, where(item, name)});
      }
    }
  }

  // Pairs as a map: {NAME: VALUE}.
  void read_variables(const YamlNode& map, const std::string& name, Assignment& assignment) {
    for (const auto& [variable, text] : read_options(map, name)) {
      assignment.values.push_back({variable + "=" + text, where(map, name)});
    }
  }

  // `wsgi_app` is Gunicorn's name for it.
  void read_app(const YamlNode& key, const YamlNode& value) {
    if (value.kind == Kind::null) return;
    std::string app = read_text(value, key.text);
    if (app.empty()) return;
    if (layer_.app) return fault(key, "", "'app' and 'wsgi_app' are the same setting: use only one of them");
    layer_.app = Located{std::move(app), where(value, key.text)};
    if (!layer_.options) layer_.root_places.all = where(key, "");
    layer_.origin = origin(value);
  }

  // A plugin's options: plain values by key, in order. An empty value is treated as absent. `places`: where each is written.
  Options read_options(const YamlNode& value, const std::string& name, Options* places = nullptr) {
    Options options;
    if (value.kind == Kind::null) return options;
    if (value.kind != Kind::map) {
      fault(value, name, "is " + std::string(kind_text(value)) + ", not a map");
      return options;
    }
    for_each_key(value, name, [&](const YamlNode& key, const YamlNode& item) {
      const bool has_nul = item.kind == Kind::scalar && (key.text + item.text).find('\0') != std::string::npos;
      if (has_nul) {
        fault(item, name, "contains a NUL byte");
      } else if (key.text.size() > name_bytes_max) {
        fault(key, name,
              "contains a name of " + std::to_string(key.text.size()) + " bytes: use at most " +
                  std::to_string(name_bytes_max));
      } else if (item.kind == Kind::scalar) {
        options.emplace_back(key.text, item.text);
        if (places != nullptr) places->emplace_back(key.text, where(key, ""));
      } else if (item.kind != Kind::null) {
        fault(item, name + "." + key.text, "is " + std::string(kind_text(item)) + ", not a single value");
      }
    });
    return options;
  }

  // A word that must be present; empty after a fault.
  std::string read_text(const YamlNode& value, const std::string& name) {
    const bool has_text = value.kind == Kind::scalar && !value.text.empty();
    if (has_text && !is_printable(value.text)) {
      fault(value, name, "contains a control character");
      return {};
    }
    if (!has_text) {
      const std::string found = value.kind == Kind::scalar ? "empty" : kind_text(value);
      fault(value, name, "is " + found + ", not the path or name of an application");
      return {};
    }
    return value.text;
  }

  void read_routes(const YamlNode& value) {
    if (value.kind == Kind::null) return;
    if (value.kind != Kind::list) {
      return fault(value, "routes", "is " + std::string(kind_text(value)) + ", not a list of {prefix, app, options}");
    }
    for (const YamlNode& item : value.items) read_route(item);
  }

  void read_route(const YamlNode& item) {
    if (item.kind != Kind::map) {
      return fault(item, "routes", "contains " + std::string(kind_text(item)) + ", not a map of prefix, app, options");
    }
    LocatedRoute located{{}, where(item, "routes"), origin(item)};
    located.route.option_places.all = where(item, "");
    bool has_place = false, has_app = false;
    for_each_key(item, "routes", [&](const YamlNode& key, const YamlNode& value) {
      has_place = has_place || key.text == "prefix" || key.text == "host";
      has_app = has_app || key.text == "app";
      read_route_key(key, value, located.route);
    });
    if (!has_place) fault(item, "routes", "'prefix' is missing (\"/\" is the root)");
    if (!has_app) fault(item, "routes", "'app' is missing");
    if (has_place && has_app) layer_.routes.push_back(std::move(located));
  }

  void read_route_key(const YamlNode& key, const YamlNode& value, Route& route) {
    if (key.text == "prefix") {
      route.prefix = value.kind == Kind::scalar ? value.text : "";
      if (value.kind != Kind::scalar) fault(value, "prefix", std::string("is ") + kind_text(value) + ", not a path");
    } else if (key.text == "host") {
      read_hosts(value, route);
    } else if (key.text == "app") {
      route.app = read_text(value, "app");
    } else if (key.text == "options") {
      route.option_places.all = where(key, "");
      route.options = read_options(value, "options", &route.option_places.each);
    } else if (key.text == "trailing_slash") {
      if (const auto text = read_single(value, key.text)) {
        if (const auto wrong = read_trailing_slash(*text, route.trailing_slash)) fault(value, key.text, *wrong);
      }
    } else if (key.text == "timeout") {
      route.timeout = read_limit(key, value, &Config::timeout);
    } else if (key.text == "soft_timeout") {
      route.soft_timeout = read_limit(key, value, &Config::soft_timeout);
    } else {
      fault_route_key(key);
    }
  }

  // One, or a list. A route that has lost its hosts by a mistake would be that of all: so they may not be left empty.
  void read_hosts(const YamlNode& value, Route& route) {
    const std::vector<YamlNode> one{value};
    const std::vector<YamlNode>& items = value.kind == Kind::list ? value.items : one;
    if (items.empty()) fault(value, "host", "is an empty list: leave 'host' out for requests to any other host");
    for (const YamlNode& item : items) {
      if (item.kind != Kind::scalar) {
        fault(item, "host", "is " + std::string(kind_text(item)) + ", not the name of a host such as 'shop.example'");
        continue;
      }
      Result<std::string> host = host_name(item.text);
      if (!host) {
        fault(item, "host", host.error());
      } else if (std::find(route.hosts.begin(), route.hosts.end(), *host) != route.hosts.end()) {
        fault(item, "host", "'" + item.text + "' appears twice");
      } else {
        route.hosts.push_back(std::move(*host));
      }
    }
  }

  // Nullopt: it is not there, or there was a fault.
  std::optional<std::string> read_single(const YamlNode& value, const std::string& name) {
    if (value.kind == Kind::scalar) return value.text;
    if (value.kind != Kind::null) fault(value, name, "is " + std::string(kind_text(value)) + ", not a single value");
    return std::nullopt;
  }

  // A route's own value of a setting of that name.
  std::optional<seconds> read_limit(const YamlNode& key, const YamlNode& value, seconds Config::*member) {
    const auto text = read_single(value, key.text);
    if (!text) return std::nullopt;
    Config read;
    const auto wrong = set_value(*find_setting(key.text), *text, read);
    if (wrong) fault(value, key.text, *wrong);
    return read.*member;
  }

  void fault_route_key(const YamlNode& key) {
    static constexpr std::string_view known[] = {"prefix",  "host",         "app",           "options",
                                                 "timeout", "soft_timeout", "trailing_slash"};
    const std::string_view near = nearest_name(key.text, known);
    const std::string hint = near.empty() ? " in a route" : ": did you mean '" + std::string(near) + "'?";
    fault(key, "", "unknown key '" + key.text + "'" + hint);
  }

  const std::string& file_name_;
  Layer layer_;
};

}  // namespace

Layer read_keys(const YamlNode& document, const std::string& file_name) { return KeyReader(file_name).read(document); }

}  // namespace narwhal::server
