#include "worker/trailing_slash.hpp"

#include <narwhal/text.hpp>

#include "protocol/characters.hpp"

namespace narwhal::worker {

namespace {

// The whole prefix, as the application sees it.
std::string_view prefix_of(const Exchange& exchange) noexcept {
  return exchange.wire().is_http() ? std::string_view(exchange.mount->prefix) : exchange.prefix;
}

// RFC 3986 has bytes from 0x80 and these only as escapes.
bool needs_escape(char c) noexcept {
  return static_cast<unsigned char>(c) >= 0x80 || std::string_view("\"#<>\\^`{|}").find(c) != std::string_view::npos;
}

char* put_escaped(std::string_view text, char* at) noexcept {
  constexpr char digits[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (!needs_escape(c)) {
      *at++ = c;
      continue;
    }
    *at++ = '%';
    *at++ = digits[static_cast<unsigned char>(c) >> 4];
    *at++ = digits[static_cast<unsigned char>(c) & 15];
  }
  return at;
}

// "/shop" is the application's root as "/shop/" is. Without memory it stays as it was sent.
void add_slash(Exchange& exchange) noexcept {
  const std::string_view path = exchange.head.path;
  char* const begin = static_cast<char*>(exchange.arena.allocate(path.size() + 1));
  if (begin == nullptr) return;
  begin[path.copy(begin, path.size())] = '/';
  exchange.head.path = std::string_view(begin, path.size() + 1);
}

}  // namespace

std::uint16_t apply_trailing_slash(Exchange& exchange) noexcept {
  const std::string_view path = exchange.head.path, prefix = prefix_of(exchange);
  const std::size_t size = prefix_size(path, prefix);
  if (size > path.size()) return 0;
  const std::string_view rest = path.substr(size);
  if (exchange.mount->trailing_slash == TrailingSlash::strict) return rest.empty() && !prefix.empty() ? 308 : 0;
  if (rest.size() > 1 && rest.ends_with('/')) --exchange.head.path.size;
  if (rest.empty()) add_slash(exchange);
  return 0;
}

std::string_view location_with_slash(Exchange& exchange) noexcept {
  const std::string_view path = exchange.head.path, query = exchange.head.query;
  const std::string_view segment = path.substr(path.rfind('/') + 1);
  constexpr std::string_view start = "./";  // a segment with a colon would look like a URI with a scheme
  char* const begin =
      static_cast<char*>(exchange.arena.allocate(start.size() + 3 * (segment.size() + query.size()) + 2));
  if (begin == nullptr) return {};
  char* at = begin + start.copy(begin, start.size());
  at = put_escaped(segment, at);
  *at++ = '/';
  if (exchange.head.query.data != nullptr) {
    *at++ = '?';
    at = put_escaped(query, at);
  }
  return {begin, static_cast<std::size_t>(at - begin)};
}

}  // namespace narwhal::worker
