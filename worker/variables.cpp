// CGI-style variables of a request (RFC 3875 4.1), made when an application asks for them.
#include <strings.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <new>
#include <string>

#include "narwhal/text.hpp"
#include "protocol/percent.hpp"
#include "worker/exchange.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// "HTTP_ACCEPT_LANGUAGE" names the field "accept-language". A field whose name has an underscore is here only where
// header_map and forwarder_headers allow it.
bool names_field(std::string_view variable, std::string_view field) noexcept {
  if (variable.size() != field.size()) return false;
  for (std::size_t at = 0; at < field.size(); ++at) {
    const char c = field[at];
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
    if (upper != variable[at]) return false;
  }
  return true;
}

// Fields of one name are joined with a comma (RFC 9110 5.3), Cookie with a semicolon (RFC 6265 5.4).
narwhal_bytes field_variable(const protocol::Head& head, Arena& arena, std::string_view name) noexcept {
  const Field* only = nullptr;
  std::size_t total = 0, count = 0;
  const std::string_view separator = name == "COOKIE" ? "; " : ",";
  for (const Field& field : head.fields) {
    if (!names_field(name, field.name)) continue;
    only = &field;
    total += field.value.size + (count++ != 0 ? separator.size() : 0);
  }
  if (count == 0) return {nullptr, 0};
  if (count == 1) return bytes_of(only->value);
  char* joined = static_cast<char*>(arena.allocate(total));
  if (joined == nullptr) return {nullptr, 0};
  char* at = joined;
  for (const Field& field : head.fields) {
    if (!names_field(name, field.name)) continue;
    if (at != joined) at = static_cast<char*>(std::memcpy(at, separator.data(), separator.size())) + separator.size();
    std::memcpy(at, field.value.data, field.value.size);
    at += field.value.size;
  }
  return {joined, total};
}

narwhal_bytes number_variable(Arena& arena, std::uint64_t number) noexcept {
  constexpr std::size_t digits_max = 20;
  char* text = static_cast<char*>(arena.allocate(digits_max));
  if (text == nullptr) return {nullptr, 0};
  return {text, static_cast<std::size_t>(std::to_chars(text, text + digits_max, number).ptr - text)};
}

// The authority's two halves: "[::1]:8000" is "[::1]" and "8000".
std::pair<std::string_view, std::string_view> split_authority(std::string_view authority) noexcept {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) return {authority, {}};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

}  // namespace

bool Exchange::add_log_value(std::string_view name, std::string_view value) noexcept {
  auto* const added = static_cast<LogValue*>(arena.allocate(sizeof(LogValue) + name.size() + value.size()));
  if (added == nullptr) return false;
  char* const text = reinterpret_cast<char*>(added + 1);
  // Not memcpy(): the text of an empty value may be null.
  std::copy(value.begin(), value.end(), std::copy(name.begin(), name.end(), text));
  log_values = new (added) LogValue{log_values, {text, name.size()}, {text + name.size(), value.size()}};
  return true;
}

narwhal_bytes Exchange::logged_variable(std::string_view name) {
  for (const LogValue* each = log_values; each != nullptr; each = each->next) {
    const bool is_same =
        each->name.size() == name.size() && strncasecmp(each->name.data(), name.data(), name.size()) == 0;
    if (is_same) return bytes_of(each->value);
  }
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
  return variable(upper);
}

// What the web server in front has sent. The last of a name counts, as in protocol/cgi_variables.hpp.
narwhal_bytes Exchange::gateway_variable(std::string_view name) const noexcept {
  return wire().is_http() ? narwhal_bytes{nullptr, 0} : bytes_of(gateway_->variable(name));
}

narwhal_bytes Exchange::variable(std::string_view name) {
  const narwhal_request& view = request();
  if (name.starts_with("HTTP_")) return field_variable(head, arena, name.substr(5));
  if (name == "REQUEST_METHOD") return view.method;
  if (name == "SCRIPT_NAME") return view.prefix;
  if (name == "QUERY_STRING") return view.query;
  if (name == "REQUEST_URI") return view.target;
  if (name == "SERVER_PROTOCOL") return view.protocol;
  if (name == "REMOTE_ADDR") return view.peer;
  if (name == "CLIENT_ADDR") return view.client;
  if (name == "REMOTE_PORT") return number_variable(arena, view.peer_port);
  if (name == "REQUEST_SCHEME") return view.scheme;
  if (name == "SERVER_SOFTWARE") return bytes_of("narwhal");
  if (name == "GATEWAY_INTERFACE") return bytes_of("CGI/1.1");
  if (name == "CONTENT_TYPE") return field_variable(head, arena, "CONTENT_TYPE");
  if (name == "CONTENT_LENGTH") {
    if (head.framing == protocol::Framing::none || view.body_size < 0) return {nullptr, 0};
    return number_variable(arena, static_cast<std::uint64_t>(view.body_size));
  }
  if (const narwhal_bytes said = gateway_variable(name); said.data != nullptr && name != "PATH_INFO") return said;
  const auto [host, port] = split_authority(head.authority);
  if (name == "SERVER_NAME") return bytes_of(host);
  if (name == "SERVER_PORT") return bytes_of(!port.empty() ? port : head.scheme.view() == "https" ? "443" : "80");
  if (name == "PATH_INFO") {
    std::string_view path = head.path;
    path.remove_prefix(std::min(prefix_size(path, view_of(view.prefix)), path.size()));
    char* decoded = static_cast<char*>(arena.allocate(path.size()));
    if (decoded == nullptr) return {nullptr, 0};
    const auto size = protocol::percent_decode(path, decoded);
    return size ? narwhal_bytes{decoded, *size}
                : bytes_of(path);  // what a stray '%' means is the application's decision
  }
  return {nullptr, 0};
}

}  // namespace narwhal::worker
