// HTML from templates: a part of Jinja's language, so that the Flask twin renders the same files.
//   {{ name }}  {{ place.name }}                          the value, escaped for text and quoted attributes
//   {% for city in state.cities %} ... {% endfor %}
//   {% if places %} ... {% endif %}                       unless the value is missing, empty, or an empty list
//   {% include "head.html" %}
// The newline at the end of a file is not part of it.
// Ownership  a Template owns what it has read. Data are values.
// Errors     std::invalid_argument for a template that cannot be read, with its name and line. A value that is missing
//            is empty.
// Threads    any may render at the same time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hbnb {

struct Data {
  Data() = default;
  Data(std::string value) : text(std::move(value)) {}
  Data(std::vector<Data> values) : list(std::move(values)) {}
  Data(std::map<std::string, Data, std::less<>> values) : members(std::move(values)) {}

  std::string text;
  std::vector<Data> list;
  std::map<std::string, Data, std::less<>> members;
};
using Members = std::map<std::string, Data, std::less<>>;

class Template {
 public:
  // Gives the text of a template that another one includes; throws for a name that it does not know.
  using Source = std::function<std::string(std::string_view name)>;
  Template(std::string_view name, const Source& source);
  ~Template();
  Template(Template&&) noexcept;
  std::string render(const Data& data) const;

 private:
  struct Node;
  class Parser;
  class Scope;
  static void render(const std::vector<Node>& nodes, const Scope& scope, std::string& html);
  std::unique_ptr<std::vector<Node>> nodes_;
};

}  // namespace hbnb
