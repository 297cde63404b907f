#include "server/config/bind_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>

#include "core/nearest_name.hpp"
#include "server/config/bind_options.hpp"
#include "server/config/utf8.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t host_bytes_max = 253;  // of a DNS name

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// A name or an IPv4 address; empty for every interface.
bool is_host(std::string_view host) {
  if (host.empty()) return true;
  return host.size() <= host_bytes_max && is_letter_or_digit(host.front()) &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_'; });
}

Result<Bind> parse_unix(std::string_view path) {
  if (path.starts_with("//")) path.remove_prefix(2);  // Gunicorn's unix://PATH
  if (path.empty()) return Error{"unix: needs a path, as in unix:/run/app.sock"};
  if (!is_printable(path)) return Error{"the path contains a control character"};
  if (path.front() == '@') return Error{"abstract Unix sockets are not supported"};
  Bind bind;
  bind.kind = Bind::Kind::unix_socket;
  bind.path = path;
  bind.host.clear();
  bind.port = 0;
  return bind;
}

Result<Bind> parse_fd(std::string_view number) {
  const std::optional<int> fd = whole_number<int>(number);
  if (!fd || *fd < 0)
    return Error{"fd://" + std::string(number) + " needs the number of an open descriptor, as in fd://3"};
  Bind bind;
  bind.kind = Bind::Kind::inherited;
  bind.fd = *fd;
  bind.host.clear();
  bind.port = 0;
  return bind;
}

// An address in brackets, with or without a %scope.
bool is_ipv6(const std::string& host) {
  const std::string address = host.substr(0, host.find('%'));
  in6_addr ignored{};
  return ::inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
}

std::optional<Error> read_port(std::string_view text, Bind& bind) {
  const std::optional<std::uint16_t> port = whole_number<std::uint16_t>(text);
  if (!port) return Error{"port '" + std::string(text) + "' is not a number from 0 to 65535"};
  bind.port = *port;
  return std::nullopt;
}

Result<Bind> parse_bracketed(std::string_view text) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return Error{"']' is missing after '['"};
  Bind bind;
  bind.host = text.substr(1, end - 1);
  if (!is_ipv6(bind.host)) return Error{"'" + bind.host + "' is not an IPv6 address"};
  std::string_view rest = text.substr(end + 1);
  if (rest.empty()) return bind;
  if (!take_prefix(rest, ":")) return Error{"only :PORT may follow ']', not '" + std::string(rest) + "'"};
  if (std::optional<Error> fault = read_port(rest, bind)) return *fault;
  return bind;
}

Result<Bind> parse_tcp(std::string_view text) {
  if (text.starts_with('[')) return parse_bracketed(text);
  if (std::count(text.begin(), text.end(), ':') > 1) return Error{"an IPv6 address needs brackets: [::1]:8000"};
  Bind bind;
  const std::size_t colon = text.find(':');
  bind.host = text.substr(0, colon);
  if (colon == std::string_view::npos && !bind.host.empty() && whole_number<std::uint64_t>(bind.host)) {
    return Error{"a port without a host is written :" + bind.host};
  }
  if (bind.host == "*") return Error{"every interface is written 0.0.0.0:PORT, [::]:PORT or :PORT"};
  if (!is_host(bind.host)) return Error{"'" + bind.host + "' is not a host name or address"};
  if (colon == std::string_view::npos) return bind;
  if (std::optional<Error> fault = read_port(text.substr(colon + 1), bind)) return *fault;
  return bind;
}

Result<Bind> parse_address(std::string_view text) {
  if (take_prefix(text, "unix:")) return parse_unix(text);
  if (take_prefix(text, "fd://")) return parse_fd(text);
  return parse_tcp(text);
}

// The protocol is what is before "://"; without one it is that of the settings.
std::optional<Error> take_protocol(std::string_view& text, std::optional<Wire>& wire) {
  const std::size_t end = text.find("://");
  const std::string_view name = text.substr(0, end);
  const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), is_letter_or_digit);
  if (end == std::string_view::npos || !is_name || name == "unix" || name == "fd") return std::nullopt;
  const auto known = std::find(std::begin(wire_names), std::end(wire_names), name);
  if (known != std::end(wire_names)) wire = static_cast<Wire>(known - std::begin(wire_names));
  if (wire || name == "tcp") {
    text.remove_prefix(end + 3);
    return std::nullopt;
  }
  const std::string quoted = "the protocol '" + std::string(name) + "'";
  if (name == "https")
    return Error{quoted + " is not supported: narwhal does not speak TLS; use http:// and a proxy in front of it"};
  const std::string_view near =
      nearest_name(name, std::array<std::string_view, 5>{"http", "unix", "fastcgi", "scgi", "uwsgi"});
  return Error{quoted + " is unknown: " +
               (near.empty()
                    ? "an address begins with http://, fastcgi://, scgi://, uwsgi://, unix: or fd://, or with the host"
                    : "did you mean '" + std::string(near) + "'?")};
}

}  // namespace

Result<Bind> parse_bind(std::string_view text) {
  const std::size_t mark = text.rfind('?');
  std::string_view address = text.substr(0, mark);
  const std::string_view before = address;
  std::optional<Wire> wire;
  if (std::optional<Error> fault = take_protocol(address, wire)) return *fault;
  const bool named = address.size() != before.size();
  if (named && address.ends_with('/')) address.remove_suffix(1);  // as a browser shows it
  if (address.empty()) return Error{"is empty"};
  Result<Bind> bind = parse_address(address);
  if (bind) bind->wire = wire;
  if (!bind || mark == std::string_view::npos) return bind;
  Result<BindOptions> options = parse_bind_options(text.substr(mark + 1), *bind);
  if (!options) return Error{options.error()};
  bind->options = *std::move(options);
  return bind;
}

}  // namespace narwhal::server
