#include "server/config/config_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "core/fd.hpp"
#include "server/config/utf8.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024;
constexpr std::size_t depth_max = 16;
constexpr const char* nested_too_deeply = "nested more than 16 levels deep";
constexpr std::size_t nodes_max = 50'000;  // an alias counts as the value that it refers to

// yaml-cpp throws its faults through these callbacks; so do we, and parse_yaml() turns both into an Error.
[[noreturn]] void refuse(const YAML::Mark& mark, const std::string& reason) {
  throw YAML::ParserException(mark, reason);
}

std::size_t count_nodes(const YamlNode& node) {
  std::size_t count = 1;
  for (const YamlNode& item : node.items) count += count_nodes(item);
  return count;
}

std::size_t depth_of(const YamlNode& node) {
  std::size_t deepest = 0;
  for (const YamlNode& item : node.items) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

// Events in, one YamlNode out. open_ holds the lists and maps around the current place.
class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, anchor, located(mark, YamlNode::Kind::null));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    check_text(mark, value);
    YamlNode node = located(mark, YamlNode::Kind::scalar);
    node.text = value;
    add(mark, anchor, std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchored_.find(anchor);
    if (known == anchored_.end()) refuse(mark, "this alias is inside the value that it refers to");
    if (open_.size() + depth_of(known->second) > depth_max) refuse(mark, nested_too_deeply);
    nodes_ += count_nodes(known->second);
    YamlNode copy = known->second;
    copy.line = mark.line + 1;
    copy.column = mark.column + 1;
    add(mark, YAML::NullAnchor, std::move(copy));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::list);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::map);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor;
  };

  static YamlNode located(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags such as '" + tag + "' are not supported");
  }

  // The file is text, but yaml-cpp turns each of these two into one byte. (A NUL is refused by the code that knows what
  // the value is for.)
  static void check_text(const YAML::Mark& mark, std::string value) {
    std::replace(value.begin(), value.end(), '\0', ' ');
    if (find_not_text(value)) refuse(mark, "the escapes \\N and \\_ are not supported: write the character itself");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    check_tag(mark, tag);
    if (open_.size() >= depth_max) refuse(mark, nested_too_deeply);
    open_.push_back(Open{located(mark, kind), mark, anchor});
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    add(closed.mark, closed.anchor, std::move(closed.node));
  }

  void add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode node) {
    if (++nodes_ > nodes_max) refuse(mark, "more than " + std::to_string(nodes_max) + " values");
    if (anchor != YAML::NullAnchor) {
      nodes_ += count_nodes(node);  // the copy in anchored_
      anchored_[anchor] = node;
    }
    if (open_.empty()) {
      root_ = std::move(node);
    } else {
      open_.back().node.items.push_back(std::move(node));
    }
  }

  YamlNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchored_;
  std::size_t nodes_ = 0;
};

std::string place(const std::string& file_name, int line, int column) {
  return file_name + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
}

// yaml-cpp's messages for the most common mistakes, in plain English.
constexpr const char* open_quote_fault = "illegal EOF in scalar";
struct Rewording {
  std::string_view theirs, ours;
};
constexpr Rewording rewordings[] = {
    {"illegal block entry",
     "a '-' here begins a list: quote it, or begin the list on a new line, after blanks and not a tab"},
    {"unknown token", "a value with this character here needs quotes"},
    {"illegal map value", "unexpected ':': the value needs quotes, or the indentation is wrong"},
    {"end of map not found", "unexpected text: the value needs quotes, or the indentation is wrong"},
    {"end of sequence not found", "unexpected text: the value needs quotes, or the indentation is wrong"},
    {"end of sequence flow not found", "a '[' is not closed"},
    {"end of map flow not found", "a '{' is not closed"},
    {open_quote_fault, "a quote is not closed"},
    {"alias not found after *", "'*' begins an alias: quote it"},
    {"anchor not found after &", "'&' begins an anchor: quote it"},
};

std::string_view reword(std::string_view theirs) {
  for (const Rewording& each : rewordings) {
    if (each.theirs == theirs) return each.ours;
  }
  return theirs;
}

Error place_error(const std::string& file_name, const YAML::Exception& fault) {
  if (fault.mark.is_null()) return Error{file_name + ": " + fault.msg};
  return Error{place(file_name, fault.mark.line + 1, fault.mark.column + 1) + std::string(reword(fault.msg))};
}

std::string_view line_of(std::string_view text, int line) {
  while (line-- > 0) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find('\n'));
}

// yaml-cpp ends the document at a line that does not belong to it.
class AnotherDocument : public TreeBuilder {
 public:
  explicit AnotherDocument(std::string_view text) : text_(text) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    const bool is_marked = line_of(text_, mark.line).starts_with("---");
    refuse(mark, is_marked ? "a second document begins here: the file may contain only one"
                           : "unexpected text: the indentation is wrong, or the value before it is complete");
  }

 private:
  std::string_view text_;
};

// yaml-cpp takes the end of the file for a closing quote, but only at the start of a line. So a comment ends the text: no
// other value may contain it.
std::string with_end_mark(std::string_view text) {
  std::string marked(text);
  if (marked.ends_with('\n')) marked += '#';
  return marked;
}

bool ends_in_quotes(std::string_view text) {
  try {
    std::istringstream stream{with_end_mark(text)};
    YAML::Parser parser(stream);
    TreeBuilder tree;
    parser.HandleNextDocument(tree);
  } catch (const YAML::Exception& fault) {
    return fault.msg == open_quote_fault;
  }
  return false;
}

// Where the quote is that is never closed, if yaml-cpp found that at the end of the text.
YAML::Mark open_quote(std::string_view text, const YAML::Exception& fault) {
  constexpr int tries_max = 100;  // each reads the text before it
  std::size_t at = text.size();
  for (int tries = 0; tries < tries_max && at > 0; ++tries) {
    at = text.find_last_of("'\"", at - 1);
    if (at == std::string_view::npos) break;
    if (ends_in_quotes(text.substr(0, at))) continue;
    YAML::Mark mark;
    mark.line = static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    mark.column = static_cast<int>(at - (text.substr(0, at).rfind('\n') + 1));
    mark.pos = static_cast<int>(at);
    return mark;
  }
  return fault.mark;
}

}  // namespace

Result<YamlNode> parse_yaml(std::string_view text, const std::string& file_name) {
  if (text.size() > file_bytes_max) return Error{file_name + ": is larger than 1 MiB"};
  if (const std::optional<TextPlace> odd = find_not_text(text)) {
    return Error{place(file_name, odd->line, odd->column) + "this byte is not UTF-8 text"};
  }
  try {
    std::istringstream stream{with_end_mark(text)};
    YAML::Parser parser(stream);
    TreeBuilder tree;
    if (!parser.HandleNextDocument(tree)) return YamlNode{};
    AnotherDocument none(text);
    parser.HandleNextDocument(none);
    return tree.take();
  } catch (const YAML::Exception& fault) {
    if (fault.msg != open_quote_fault) return place_error(file_name, fault);
    return place_error(file_name, YAML::Exception(open_quote(text, fault), fault.msg));
  } catch (const std::exception& fault) {
    return Error{file_name + ": " + fault.what()};
  }
}

Result<FileText> read_config_file(const std::string& path) { return read_text_file(path, file_bytes_max); }

}  // namespace narwhal::server
