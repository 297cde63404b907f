// One value of a gunicorn.conf.py, as the texts that set_value() takes.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

struct PythonValue {
  std::string type;  // "str", "int", "float", "bool", "None", "list", "dict", "callable", else Python's own name for it
  std::string text;
  struct Item {
    std::string key;  // of a dict
    std::string type, text;
  };
  std::vector<Item> items;

  bool is_plain() const;  // consists of strings, numbers, booleans and None
  bool is_false() const;  // false for Python's bool()
};

// The values for an assignment, none if a list is empty. The error says what is wrong with the type: "is of type dict,
// not a string".
Result<std::vector<std::string>> texts_of(const Setting& setting, const PythonValue& value);

}  // namespace narwhal::server
