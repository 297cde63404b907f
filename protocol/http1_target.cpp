#include "protocol/http1_target.hpp"

#include <arpa/inet.h>

#include <cstring>

#include "protocol/characters.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::size_t method_bytes_max = 32;
constexpr std::size_t version_bytes = 9;  // " HTTP/1.1"

// The line does not end in " HTTP/1.0" or " HTTP/1.1": say why.
Refusal refuse_version(std::string_view line) noexcept {
  const std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return {400, "request line without a version"};
  const std::string_view version = line.substr(space + 1);
  const bool well_formed = version.size() == version_bytes - 1 && version.starts_with("HTTP/") &&
                           is(version[5], bytes::digit) && version[6] == '.' && is(version[7], bytes::digit);
  if (!well_formed) return {400, "malformed version"};
  return {505, "version is not HTTP/1.0 or HTTP/1.1"};
}

// Splits the target at its '?' and checks its bytes. False: a byte that no target holds.
bool split_query(std::string_view target, Head& head) noexcept {
  std::size_t at = 0;
  while (at < target.size() && is(target[at], bytes::path)) ++at;
  head.path = target.substr(0, at);
  if (at == target.size()) return true;
  if (target[at] != '?') return false;
  head.query = target.substr(at + 1);
  for (const char c : head.query.view()) {
    if (!is(c, bytes::path) && c != '?') return false;
  }
  return true;
}

Refusal parse_absolute(std::string_view target, Head& head) noexcept {
  const std::size_t colon = head.path.view().find(':');
  if (colon == std::string_view::npos) return {400, "target is no path and no URI"};
  const std::string_view scheme = target.substr(0, colon);
  if (!same_ignoring_case(scheme, "http") && !same_ignoring_case(scheme, "https")) {
    return {400, "scheme is not http or https"};
  }
  std::string_view rest = head.path.view().substr(colon + 1);
  if (!rest.starts_with("//")) return {400, "URI without an authority"};
  rest.remove_prefix(2);
  const std::size_t slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  if (authority.empty() || authority.front() == ':' || !is_authority(authority)) {
    return {400, "malformed authority in the target"};
  }
  head.scheme = scheme;
  head.authority = authority;
  if (slash != std::string_view::npos) {
    head.path = rest.substr(slash);
  } else {
    // RFC 9112 3.2.4: what a proxy turns into "OPTIONS *".
    const bool whole_server = head.method.view() == "OPTIONS" && head.query.data == nullptr;
    head.path = std::string_view(whole_server ? "*" : "/");
  }
  return {};
}

Refusal parse_connect(std::string_view target, Head& head) noexcept {
  const std::size_t colon = target.rfind(':');
  // The port is the point of CONNECT: RFC 9110 9.3.6 wants both parts.
  const bool both = colon != std::string_view::npos && colon > 0 && colon + 1 < target.size();
  if (!both || !is_authority(target)) return {400, "CONNECT wants host:port"};
  head.authority = target;
  head.path = Bytes(target.data(), 0);
  return {};
}

Refusal parse_target(std::string_view target, Head& head) noexcept {
  if (target.empty()) return {400, "empty target"};
  if (!split_query(target, head)) return {400, "malformed target"};
  if (head.is_connect) return parse_connect(target, head);
  if (target.front() == '/') [[likely]] {
    return {};
  }
  if (target == "*") {
    if (head.method.view() == "OPTIONS") return {};
    return {400, "target * is for OPTIONS"};
  }
  return parse_absolute(target, head);
}

bool is_port(std::string_view text) noexcept { return all(text, bytes::digit); }

bool is_ipv6(std::string_view text) noexcept {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated) return false;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  in6_addr ignored{};
  return ::inet_pton(AF_INET6, terminated, &ignored) == 1;
}

}  // namespace

bool is_authority(std::string_view text) noexcept {
  std::size_t at = 0;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) return false;
    at = close + 1;
  } else {
    while (at < text.size()) {
      if (is(text[at], bytes::reg_name)) {
        ++at;
      } else if (text[at] == '%' && text.size() - at > 2 && is(text[at + 1], bytes::hex) &&
                 is(text[at + 2], bytes::hex)) {
        at += 3;
      } else {
        break;
      }
    }
  }
  if (at == text.size()) return true;
  return text[at] == ':' && is_port(text.substr(at + 1));
}

Refusal parse_request_line(std::string_view line, Head& head) noexcept {
  if (line.empty()) return {400, "too many empty lines before the request"};
  std::size_t at = 0;
  bool lower = false;
  while (at < line.size() && is(line[at], bytes::token)) lower |= is(line[at++], bytes::lower);
  if (at == 0 || at == line.size() || line[at] != ' ') return {400, "malformed method"};
  const bool version_fits = line.size() >= at + 1 + version_bytes &&
                            std::memcmp(line.data() + line.size() - version_bytes, " HTTP/1.", 8) == 0 &&
                            (line.back() == '0' || line.back() == '1');
  if (!version_fits) return refuse_version(line.substr(at + 1));
  head.method = line.substr(0, at);
  head.is_head = head.method.view() == "HEAD";
  head.is_connect = head.method.view() == "CONNECT";
  head.minor = line.back() == '1' ? 1 : 0;
  head.target = line.substr(at + 1, line.size() - version_bytes - at - 1);
  head.query = head.authority = head.scheme = Bytes{};
  if (const Refusal refusal = parse_target(head.target, head)) return refusal;
  if (lower || at > method_bytes_max) return {501, "unknown method"};
  return {};
}

}  // namespace narwhal::protocol
