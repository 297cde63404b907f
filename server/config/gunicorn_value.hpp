// One value of a gunicorn.conf.py, as the texts that set_value() takes.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

struct PythonValue {
  std::string type;  // "str", "int", "float", "bool", "None", "list", "dict", "callable", else Python's own name of it
  std::string text;
  struct Item {
    std::string key;  // of a dict
    std::string type, text;
  };
  std::vector<Item> items;

  bool is_plain() const;  // made of texts, numbers and None
  bool is_false() const;  // as Python's bool() has it
};

// The values for an assignment, none where a list is empty. The error is what is wrong with the type: "is a dict, not a
// text".
Result<std::vector<std::string>> texts_of(const Setting& setting, const PythonValue& value);

}  // namespace narwhal::server
