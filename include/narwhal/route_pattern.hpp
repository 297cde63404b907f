// Patterns of a router, and the path of a request cut into segments. For router.hpp.
// Ownership  a SplitPath's segments are views of the request's memory.
// Errors     parse_pattern() throws std::invalid_argument.
#pragma once

#include <narwhal/request.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace narwhal::detail {

// A parsed pattern.
struct Pattern {
  enum class Kind : unsigned char { text, integer, string, rest };  // the more exact first
  struct Segment {
    Kind kind;
    std::string text;  // the segment itself, or the parameter's name
  };
  std::vector<Segment> segments;
  bool slash = true;  // ends with a slash

  bool has_rest() const noexcept { return !segments.empty() && segments.back().kind == Kind::rest; }
};

inline Pattern::Segment parse_segment(std::string_view segment, std::string_view pattern) {
  const auto refuse = [&](const char* why) { throw std::invalid_argument("route " + std::string(pattern) + why); };
  if (segment.empty()) refuse(": an empty segment");
  if (segment.front() != '<') {
    if (segment.find_first_of("<>") != segment.npos) refuse(": a parameter must fill its segment");
    return {Pattern::Kind::text, std::string(segment)};
  }
  if (segment.back() != '>') refuse(": a parameter must fill its segment");
  segment = segment.substr(1, segment.size() - 2);
  const std::size_t colon = segment.find(':');
  const std::string_view type = colon == segment.npos ? "string" : segment.substr(0, colon);
  const std::string name(colon == segment.npos ? segment : segment.substr(colon + 1));
  if (name.empty() || name.find_first_of("<>:") != name.npos) refuse(": a parameter without a proper name");
  if (type == "int") return {Pattern::Kind::integer, name};
  if (type == "string") return {Pattern::Kind::string, name};
  if (type != "path") refuse(": parameters are int, string or path");
  return {Pattern::Kind::rest, name};
}

inline Pattern parse_pattern(std::string_view text) {
  if (!text.starts_with('/')) throw std::invalid_argument("route " + std::string(text) + ": must start with a slash");
  Pattern pattern;
  pattern.slash = text.ends_with('/');
  std::string_view rest = text.substr(1);
  while (!rest.empty()) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (pattern.has_rest()) {
      throw std::invalid_argument("route " + std::string(text) + ": a path parameter must be last");
    }
    pattern.segments.push_back(parse_segment(segment, text));
    rest.remove_prefix(segment.size() == rest.size() ? rest.size() : segment.size() + 1);
  }
  return pattern;
}

inline bool is_int(std::string_view text) noexcept {
  return !text.empty() && text.front() != '-' && parse_number<std::int64_t>(text).has_value();
}

// A request's path, split and decoded.
class SplitPath {
 public:
  // Throws std::bad_alloc. The path must start with a slash.
  explicit SplitPath(const Request& request) {
    std::string_view raw = request.path().substr(1);
    const bool root = raw.empty();
    slash_ = root || raw.ends_with('/');
    if (raw.ends_with('/')) raw.remove_suffix(1);
    if (root) return;
    std::size_t count = 1;
    for (const char c : raw) count += c == '/' ? 1 : 0;
    std::string_view* out = few_.data();
    if (count > few_.size()) {
      many_.resize(count);
      out = many_.data();
    }
    cut(request, raw, out);
    segments_ = {out, count};
  }
  SplitPath(const SplitPath&) = delete;
  SplitPath& operator=(const SplitPath&) = delete;

  std::span<const std::string_view> segments() const noexcept { return segments_; }  // without one after a last slash
  bool slash() const noexcept { return slash_; }                                     // the path ends with a slash
  // From segment `index` to the end; with the last slash, unless the pattern ends with one.
  std::string_view tail(std::size_t index, bool pattern_slash) const noexcept {
    const std::string_view last = segments_.back();
    const char* const begin = segments_[index].data();
    const char* const end = last.data() + last.size() + (slash_ && !pattern_slash ? 1 : 0);
    return {begin, static_cast<std::size_t>(end - begin)};
  }

 private:
  static void cut(const Request& request, std::string_view raw, std::string_view* out) {
    const bool encoded = raw.find('%') != raw.npos;
    char* at = encoded ? static_cast<char*>(request.alloc(raw.size() + 1)) : nullptr;
    while (true) {
      const std::string_view segment = raw.substr(0, raw.find('/'));
      const bool last = segment.size() == raw.size();
      raw.remove_prefix(last ? raw.size() : segment.size() + 1);
      if (encoded) {
        const std::size_t size = percent_decode_into(segment, Plus::plus, at);
        *out++ = {at, size};
        at += size;
        *at++ = '/';  // so that tail() can span several segments, as it does in the raw path
      } else {
        *out++ = segment;
      }
      if (last) return;
    }
  }

  std::array<std::string_view, 12> few_;
  std::vector<std::string_view> many_;
  std::span<const std::string_view> segments_;
  bool slash_ = false;
};

}  // namespace narwhal::detail
