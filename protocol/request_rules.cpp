#include "protocol/request_rules.hpp"

#include <limits>

#include "core/ip_ranges.hpp"
#include "protocol/characters.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::uint64_t length_max = std::numeric_limits<std::int64_t>::max();

// Splits the target at its '?' and checks its bytes. False: a byte that no target holds.
bool split_query(std::string_view target, Head& head) noexcept {
  const char* at = target.data();
  const char* const end = at + target.size();
  while (at != end && is(*at, bytes::path)) ++at;
  head.path = Bytes(target.data(), static_cast<std::size_t>(at - target.data()));
  if (at == end) return true;
  if (*at != '?') return false;
  head.query = Bytes(at + 1, static_cast<std::size_t>(end - at - 1));
  return all(head.query, bytes::query);
}

Refusal parse_absolute(std::string_view target, Head& head) noexcept {
  const std::size_t colon = head.path.view().find(':');
  if (colon == std::string_view::npos) return {400, "target is neither a path nor a URI"};
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

// Behind the head of a CONNECT comes what its sender wants tunnelled, whatever we say: none of it may be taken for a
// request, so there is no tunnel and the connection ends. RFC 9110 9.3.6: most origin servers do not implement it.
Refusal refuse_connect(std::string_view target) noexcept {
  const std::size_t colon = target.rfind(':');
  // The port is the point of CONNECT: both parts are wanted.
  const bool both = colon != std::string_view::npos && colon > 0 && is(target.back(), bytes::digit);
  if (!both || !is_authority(target)) return {400, "CONNECT wants host:port"};
  return {501, "CONNECT is not implemented"};
}

bool is_ipv6(std::string_view text) noexcept {
  return text.find(':') != std::string_view::npos && IpAddress::parse(text).has_value();
}

// With an address in brackets, or escaped bytes.
[[gnu::noinline]] bool is_unusual_authority(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  if (*at == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) return false;
    at += close + 1;
  } else {
    while (true) {
      while (at != end && is(*at, bytes::reg_name)) ++at;
      if (at == end || *at != '%') break;
      if (end - at < 3 || !is(at[1], bytes::hex) || !is(at[2], bytes::hex)) return false;
      at += 3;
    }
  }
  return at == end || (*at == ':' && all({at + 1, static_cast<std::size_t>(end - at - 1)}, bytes::digit));
}

}  // namespace

bool is_authority(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end && is(*at, bytes::reg_name)) ++at;
  if (at != end && *at != ':') return is_unusual_authority(text);
  return at == end || all({at + 1, static_cast<std::size_t>(end - at - 1)}, bytes::digit);
}

Refusal judge_target(std::string_view target, Head& head) noexcept {
  head.target = target;
  head.query = head.authority = head.scheme = Bytes{};
  if (target.empty()) return {400, "empty target"};
  if (!split_query(target, head)) return {400, "malformed target"};
  if (head.method.view() == "CONNECT") return refuse_connect(target);
  if (target.front() == '/') [[likely]] {
    return {};
  }
  if (target == "*") {
    if (head.method.view() == "OPTIONS") return {};
    return {400, "target * is for OPTIONS"};
  }
  return parse_absolute(target, head);
}

Refusal judge_length(std::string_view digits, std::uint64_t& length) noexcept {
  if (digits.empty()) return {400, "malformed Content-Length"};
  std::uint64_t number = 0;
  for (const char c : digits) {
    if (!is(c, bytes::digit)) return {400, "malformed Content-Length"};
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (number > (length_max - digit) / 10) return {400, "Content-Length too large"};
    number = number * 10 + digit;
  }
  length = number;
  return {};
}

}  // namespace narwhal::protocol
