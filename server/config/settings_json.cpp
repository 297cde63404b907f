#include "server/config/settings_json.hpp"

#include <variant>

#include "core/joined.hpp"
#include "core/json_text.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

std::string text_json(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

std::string list_json(const std::vector<std::string>& texts) {
  std::string json = "[";
  for (const std::string& text : texts) json += (json.size() == 1 ? "" : ", ") + text_json(text);
  return json + "]";
}

struct ToJson {
  const Setting& setting;
  const Config& config;

  std::string operator()(bool Config::*member) const { return config.*member ? "true" : "false"; }
  std::string operator()(unsigned Config::*member) const { return std::to_string(config.*member); }
  std::string operator()(int Config::*member) const { return std::to_string(config.*member); }
  std::string operator()(std::size_t Config::*member) const { return std::to_string(config.*member); }
  std::string operator()(std::chrono::seconds Config::*member) const {
    return std::to_string((config.*member).count());
  }
  std::string operator()(std::string Config::*member) const {
    return (config.*member).empty() ? "null" : text_json(config.*member);
  }
  std::string operator()(Options Config::*member) const {
    if (setting.name == "raw_env") return list_json(value_texts(setting, config));
    std::string json = "{";
    for (const auto& [name, value] : config.*member) {
      json += (json.size() == 1 ? "" : ", ") + text_json(name) + ": " + text_json(value);
    }
    return json + "}";
  }
  template <class Member>
  std::string operator()(Member) const {
    const std::vector<std::string> texts = value_texts(setting, config);
    if (!setting.is_list()) return text_json(texts.front());
    if (setting.name != "pythonpath") return list_json(texts);
    return texts.empty() ? "null" : text_json(joined(texts, ","));
  }
};

}  // namespace

std::string settings_json(const Config& config) {
  std::string json = "{";
  for (const Setting& setting : settings()) {
    json += (json.size() == 1 ? "" : ", ") + text_json(setting.name) + ": " +
            std::visit(ToJson{setting, config}, setting.member);
  }
  return json + "}";
}

}  // namespace narwhal::server
