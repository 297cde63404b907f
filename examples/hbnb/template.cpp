#include "template.hpp"

#include <narwhal/html.hpp>

#include <algorithm>
#include <stdexcept>

namespace hbnb {

struct Template::Node {
  enum class Kind { text, value, loop, condition };
  Kind kind = Kind::text;
  std::string text;               // or the path of a value: "place.name"
  std::string variable = {};      // of a loop
  std::vector<Node> inside = {};  // of a loop or a condition
};

// The names that are known at one place: those of the data, and the variables of the loops around.
class Template::Scope {
 public:
  explicit Scope(const Data& data) : data_(&data) {}
  Scope(const Scope& outer, const std::string& variable, const Data& data)
      : outer_(&outer), variable_(&variable), data_(&data) {}

  const Data& find(std::string_view path) const {
    std::size_t dot = path.find('.');
    const Data* found = find_name(path.substr(0, dot));
    while (found != nullptr && dot != path.npos) {
      path.remove_prefix(dot + 1);
      dot = path.find('.');
      found = member(*found, path.substr(0, dot));
    }
    static const Data missing;
    return found != nullptr ? *found : missing;
  }

 private:
  static const Data* member(const Data& data, std::string_view name) {
    const auto found = data.members.find(name);
    return found == data.members.end() ? nullptr : &found->second;
  }
  const Data* find_name(std::string_view name) const {
    if (outer_ == nullptr) return member(*data_, name);
    return *variable_ == name ? data_ : outer_->find_name(name);
  }
  const Scope* outer_ = nullptr;
  const std::string* variable_ = nullptr;
  const Data* data_;
};

class Template::Parser {
 public:
  Parser(std::string_view name, const Source& source) : name_(name), source_(source), text_(source(name)) {
    if (text_.ends_with('\n')) text_.pop_back();
  }

  std::vector<Node> all() { return until(""); }

 private:
  // The nodes up to the tag `end`, or to the end of the file.
  std::vector<Node> until(std::string_view end) {
    std::vector<Node> nodes;
    while (at_ < text_.size()) {
      const std::size_t tag = std::min({text_.find("{{", at_), text_.find("{%", at_), text_.size()});
      if (tag > at_) nodes.push_back({.kind = Node::Kind::text, .text = text_.substr(at_, tag - at_)});
      at_ = tag;
      if (at_ == text_.size()) break;
      const bool value = text_[at_ + 1] == '{';
      std::vector<std::string> words = tag_words(value ? "}}" : "%}");
      if (value) {
        if (words.size() != 1) fail("{{ }} takes one name");
        nodes.push_back({.kind = Node::Kind::value, .text = std::move(words[0])});
      } else if (words.size() == 1 && words[0] == end) {
        return nodes;
      } else {
        statement(words, nodes);
      }
    }
    if (!end.empty()) fail(std::string(end) + " is missing");
    return nodes;
  }

  void statement(std::vector<std::string>& words, std::vector<Node>& nodes) {
    if (words.size() == 4 && words[0] == "for" && words[2] == "in") {
      nodes.push_back({Node::Kind::loop, std::move(words[3]), std::move(words[1]), until("endfor")});
    } else if (words.size() == 2 && words[0] == "if") {
      nodes.push_back({Node::Kind::condition, std::move(words[1]), "", until("endif")});
    } else if (words.size() == 2 && words[0] == "include" && words[1].size() > 2) {
      for (Node& node : Parser(words[1].substr(1, words[1].size() - 2), source_).all())
        nodes.push_back(std::move(node));
    } else {
      fail("this tag is not known: " + (words.empty() ? "" : words[0]));
    }
  }

  std::vector<std::string> tag_words(std::string_view close) {
    const std::size_t end = text_.find(close, at_);
    if (end == text_.npos) fail(std::string(close) + " is missing");
    std::vector<std::string> words(1);
    for (const char c : std::string_view(text_).substr(at_ + 2, end - at_ - 2)) {
      if (c != ' ' && c != '\n') {
        words.back() += c;
      } else if (!words.back().empty()) {
        words.emplace_back();
      }
    }
    if (words.back().empty()) words.pop_back();
    at_ = end + 2;
    return words;
  }

  [[noreturn]] void fail(const std::string& what) const {
    const auto line = std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n') + 1;
    throw std::invalid_argument("template " + name_ + ", line " + std::to_string(line) + ": " + what);
  }

  const std::string name_;
  const Source& source_;
  std::string text_;
  std::size_t at_ = 0;
};

Template::Template(std::string_view name, const Source& source)
    : nodes_(std::make_unique<std::vector<Node>>(Parser(name, source).all())) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;

std::string Template::render(const Data& data) const {
  std::string html;
  render(*nodes_, Scope(data), html);
  return html;
}

void Template::render(const std::vector<Node>& nodes, const Scope& scope, std::string& html) {
  for (const Node& node : nodes) {
    switch (node.kind) {
      case Node::Kind::text: html += node.text; break;
      case Node::Kind::value: html += narwhal::html_escape(scope.find(node.text).text); break;
      case Node::Kind::loop:
        for (const Data& item : scope.find(node.text).list)
          render(node.inside, Scope(scope, node.variable, item), html);
        break;
      case Node::Kind::condition: {
        const Data& data = scope.find(node.text);
        if (!data.text.empty() || !data.list.empty()) render(node.inside, scope, html);
      }
    }
  }
}

}  // namespace hbnb
