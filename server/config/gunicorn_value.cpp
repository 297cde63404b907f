#include "server/config/gunicorn_value.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace narwhal::server {
namespace {

using Texts = Result<std::vector<std::string>>;

bool is_scalar(std::string_view type) {
  return type == "str" || type == "int" || type == "float" || type == "bool" || type == "None";
}

Error wrong_type(const std::string& type, const std::string& wanted) {
  if (type == "None") return Error{"is None, not " + wanted};
  if (type == "callable") return Error{"is a function or class, not " + wanted};
  return Error{"is of type " + type + ", not " + wanted};
}

std::string stripped(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
}

Texts mode_text(const PythonValue& value) {
  if (value.type != "str" && value.type != "int") return wrong_type(value.type, "a number");
  return std::vector{stripped(value.text)};
}

Texts items_of(const PythonValue& value, bool as_pairs) {
  std::vector<std::string> texts;
  for (const PythonValue::Item& item : value.items) {
    if (item.type != "str") return Error{"contains a value of type " + item.type + ", but each must be a string"};
    texts.push_back(as_pairs ? item.key + "=" + item.text : stripped(item.text));
  }
  return texts;
}

struct ToTexts {
  const Setting& setting;
  const PythonValue& value;

  Texts list() const {
    if (value.type == "list") return items_of(value, false);
    if (value.type == "dict" && setting.is_map()) return items_of(value, true);
    if (value.type == "None") return std::vector<std::string>{};
    if (value.type != "str")
      return wrong_type(value.type, setting.is_map() ? "a list or a dict" : "a string or a list");
    const std::string text = stripped(value.text);
    return text.empty() ? std::vector<std::string>{} : std::vector{text};
  }
  Texts number() const {
    if (value.type == "bool") return std::vector<std::string>{value.text == "true" ? "1" : "0"};
    const bool fits = value.type == "int" || value.type == "float" || value.type == "str";
    return fits ? Texts(std::vector{stripped(value.text)}) : wrong_type(value.type, "a number");
  }
  Texts word() const {
    const bool takes_classes = setting.name == "worker_class" || setting.name == "logger_class";
    if (takes_classes && value.type == "callable") return std::vector{value.text};
    const bool takes_numbers = setting.name == "user" || setting.name == "group";
    if (value.type != "str" && (value.type != "int" || !takes_numbers)) return wrong_type(value.type, "a string");
    return std::vector{stripped(value.text)};
  }

  Texts operator()(bool Config::*) const {
    if (value.type != "bool" && value.type != "str") return wrong_type(value.type, "True or False");
    return std::vector{stripped(value.text)};
  }
  Texts operator()(int Config::*) const { return mode_text(value); }
  Texts operator()(unsigned Config::*) const { return number(); }
  Texts operator()(std::size_t Config::*) const { return number(); }
  Texts operator()(std::chrono::seconds Config::*) const { return number(); }
  Texts operator()(ProxyProtocol Config::*) const {
    return value.type == "bool" ? Texts(std::vector{value.text}) : word();
  }
  template <class Other>
  Texts operator()(Other Config::*) const {
    return setting.is_list() ? list() : word();
  }
};

}  // namespace

bool PythonValue::is_plain() const {
  if (type != "list" && type != "dict") return is_scalar(type);
  return std::all_of(items.begin(), items.end(), [](const Item& item) { return is_scalar(item.type); });
}

bool PythonValue::is_false() const {
  if (type == "list" || type == "dict") return items.empty();
  if (type == "int" || type == "float") return text == "0" || text == "0.0";
  return type == "None" || (type == "str" && text.empty()) || (type == "bool" && text == "false");
}

Result<std::vector<std::string>> texts_of(const Setting& setting, const PythonValue& value) {
  return std::visit(ToTexts{setting, value}, setting.member);
}

}  // namespace narwhal::server
