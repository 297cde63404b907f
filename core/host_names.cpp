#include "core/host_names.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/ip_ranges.hpp"

namespace narwhal {
namespace {

constexpr std::size_t label_bytes_max = 63;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_label_byte(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// "[::1]" of "0:0:0:0:0:0:0:1"; nothing if that is not an IPv6 address.
std::string_view bracketed(std::string_view address, HostRoom& room) noexcept {
  const std::optional<IpAddress> parsed = IpAddress::parse(address);
  if (!parsed || address.find(':') == std::string_view::npos) return {};
  room[0] = '[';
  if (::inet_ntop(AF_INET6, parsed->bytes.data(), room.data() + 1, room.size() - 2) == nullptr) return {};
  const std::size_t size = std::strlen(room.data());
  room[size] = ']';
  return {room.data(), size + 1};
}

std::string_view without_port(std::string_view authority) noexcept {
  const std::size_t colon = authority.rfind(':');
  return colon == std::string_view::npos ? authority : authority.substr(0, colon);
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "' "; }

// What is wrong with the names between the dots; empty: nothing.
std::string fault_of_labels(std::string_view name) {
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty()) return "has two dots together, or one at its beginning";
    if (label.size() > label_bytes_max) return "has a part of more than 63 letters";
    const auto odd = std::find_if_not(label.begin(), label.end(), is_label_byte);
    if (odd != label.end() && static_cast<unsigned char>(*odd) >= 0x80)
      return "has a letter that is not ASCII: write it as browsers send it, in its form 'xn--...'";
    if (odd != label.end()) return std::string("has '").append(1, *odd).append("', which a name of a host cannot have");
    if (dot == std::string_view::npos) return "";
    name.remove_prefix(dot + 1);
  }
}

// What looks like something else that people write for a host; empty: nothing does.
std::string fault_of_form(std::string_view text) {
  if (text.empty()) return "is empty: leave 'host' out for requests to any other host";
  if (text == "*") return "'*' would be every host: leave 'host' out for requests to any other host";
  if (text.find('/') != std::string_view::npos) return quoted(text) + "is a URL or a path: name the host alone";
  if (text.starts_with('.')) return quoted(text) + "begins with a dot: write '*" + std::string(text) + "'";
  if (text.rfind('*') != std::string_view::npos && (text.rfind('*') != 0 || !text.starts_with("*.")))
    return quoted(text) + "has '*' in another place than its beginning, as in '*.shop.example'";
  return "";
}

}  // namespace

std::string_view host_of(std::string_view authority, HostRoom& room) noexcept {
  if (authority.starts_with('[')) return bracketed(authority.substr(1, authority.find(']') - 1), room);
  std::string_view host = without_port(authority);
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > host_bytes_max) return {};
  std::transform(host.begin(), host.end(), room.begin(), lower);
  return {room.data(), host.size()};
}

Result<std::string> host_name(std::string_view text) {
  if (std::string fault = fault_of_form(text); !fault.empty()) return Error{std::move(fault)};
  HostRoom room;
  const bool is_in_brackets = text.starts_with('[') && text.ends_with(']');
  const std::string_view address = is_in_brackets ? text.substr(1, text.size() - 2) : text;
  if (const std::string_view found = bracketed(address, room); !found.empty()) return std::string(found);
  if (text.starts_with('[') && text.find("]:") == std::string_view::npos)
    return Error{quoted(text) + "is not an IPv6 address"};
  if (text.find(':') != std::string_view::npos)
    return Error{quoted(text) + "has a port: hosts are compared without it, so leave it out"};
  const std::string_view host = host_of(text, room);
  if (host.empty()) return Error{quoted(text) + "is longer than the 253 letters of a name"};
  const std::string fault = fault_of_labels(host.starts_with("*.") ? host.substr(2) : host);
  if (!fault.empty()) return Error{quoted(text) + fault};
  return std::string(host);
}

}  // namespace narwhal
