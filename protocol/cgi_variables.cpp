#include "protocol/cgi_variables.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "protocol/cgi_field_name.hpp"
#include "protocol/characters.hpp"
#include "protocol/request_rules.hpp"
#include "protocol/sixteen_bytes.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::string_view field_mark = "HTTP_";
constexpr std::string_view content_type = "Content-Type", content_length = "Content-Length";
constexpr std::size_t fields_max = 32768;
// Of a request line: two spaces and the version; of a field line: ": " and CRLF.
constexpr std::size_t line_overhead = 10, field_overhead = 4;

// Eight bytes as one number, so that a name is found by one comparison among many.
constexpr std::uint64_t word_of(const char (&text)[9]) noexcept {
  std::array<char, 8> bytes{};
  for (std::size_t at = 0; at < 8; ++at) bytes[at] = text[at];
  return std::bit_cast<std::uint64_t>(bytes);
}

std::uint64_t word_at(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

bool is_of_field(std::string_view name) noexcept {
  return name.size() >= field_mark.size() && std::memcmp(name.data(), field_mark.data(), field_mark.size()) == 0;
}

bool is_on(std::string_view https) noexcept { return same_ignoring_case(https, "on") || https == "1"; }

// How many bytes of an escaped path spell the decoded prefix; 0: it does not begin with it.
std::size_t spelled(std::string_view path, std::string_view prefix) noexcept {
  std::size_t at = 0;
  for (const char wanted : prefix) {
    if (at == path.size()) return 0;
    char found = path[at];
    if (found == '%' && path.size() - at >= 3 && is(path[at + 1], bytes::hex) && is(path[at + 2], bytes::hex)) {
      found = static_cast<char>(hex_value(path[at + 1]) * 16 + hex_value(path[at + 2]));
      at += 2;
    }
    if (found != wanted) return 0;
    ++at;
  }
  return at == path.size() || path[at] == '/' ? at : 0;
}

// As a client would have to send it. What is not ASCII is escaped too, as browsers do.
char* escape(std::string_view decoded, char* out) noexcept {
  constexpr char digits[] = "0123456789ABCDEF";
  for (const char c : decoded) {
    const auto byte = static_cast<unsigned char>(c);
    if (is(c, bytes::path) && byte < 0x80 && c != '%' && c != '#') {
      *out++ = c;
      continue;
    }
    *out++ = '%';
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
  }
  return out;
}

char* put(char* out, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

bool read_port(std::string_view text, std::uint16_t& port) noexcept {
  if (text.empty() || text.size() > 5 || !all(text, bytes::digit)) return false;
  unsigned number = 0;
  for (const char c : text) number = number * 10 + static_cast<unsigned>(c - '0');
  port = static_cast<std::uint16_t>(number);
  return number <= 0xffff;
}

std::string_view without_slashes_at_end(std::string_view text) noexcept {
  while (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

}  // namespace

Bytes CgiRequest::variable(std::string_view name) const noexcept {
  for (auto each = variables.rbegin(); each != variables.rend(); ++each) {
    if (each->name.view() == name) return each->value;
  }
  return {};
}

CgiVariables::CgiVariables(std::span<char> bytes, const HeadLimits& limits, Head& head, CgiRequest& request) noexcept
    : begin_(bytes.data()), end_(bytes.data() + bytes.size()), limits_(limits), head_(head), request_(request) {
  head_.method = head_.target = {};
  head_.is_head = false;
  head_.fields.clear();
  request_.variables.clear();
  request_.made.clear();
  request_.prefix = {};
  request_.prefix_size = 0;
  request_.names_remote = false;
}

// Where the value of a variable that is known goes. Names of one length differ in the eight bytes that are compared.
Bytes* CgiVariables::known(std::string_view name) noexcept {
  const auto is_named = [&]<std::size_t Size>(const char(&known)[Size], Bytes& value) {
    return std::memcmp(name.data(), known, Size - 1) == 0 ? &value : nullptr;  // they are as long
  };
  switch (name.size()) {
    case 5: return is_named("HTTPS", https_);
    case 9: return is_named("PATH_INFO", path_info_);
    case 11:
      switch (word_at(name.data() + 3)) {
        case word_of("OTE_ADDR"): return is_named("REMOTE_ADDR", address_);
        case word_of("OTE_PORT"): return is_named("REMOTE_PORT", port_);
        case word_of("OTE_USER"): return is_named("REMOTE_USER", user_);
        case word_of("VER_NAME"): return is_named("SERVER_NAME", server_name_);
        case word_of("VER_PORT"): return is_named("SERVER_PORT", server_port_);
        case word_of("IPT_NAME"): return is_named("SCRIPT_NAME", script_);
        case word_of("UEST_URI"): return is_named("REQUEST_URI", target_);
        default: return nullptr;
      }
    case 12:
      switch (word_at(name.data() + 4)) {
        case word_of("ENT_TYPE"): return is_named("CONTENT_TYPE", type_);
        case word_of("Y_STRING"): return is_named("QUERY_STRING", query_);
        case word_of("I_SCHEME"): return is_named("UWSGI_SCHEME", scheme_);
        default: return nullptr;
      }
    case 14:
      switch (word_at(name.data() + 6)) {
        case word_of("T_LENGTH"): return is_named("CONTENT_LENGTH", length_);
        case word_of("T_METHOD"): return is_named("REQUEST_METHOD", method_);
        case word_of("T_SCHEME"): return is_named("REQUEST_SCHEME", scheme_);
        default: return nullptr;
      }
    case 15: return is_named("SERVER_PROTOCOL", protocol_);
    default: return nullptr;
  }
}

Refusal CgiVariables::add(std::span<char> name, std::string_view value) {
  const Refusal refusal = add_any(name, value);
  if (refusal) head_.fields.clear();
  return refusal;
}

Refusal CgiVariables::add_any(std::span<char> name, std::string_view value) {
  const std::string_view text(name.data(), name.size());
  if (++count_ > variables_max) return {431, "too many variables"};
  if (is_of_field(text)) return add_field(name.subspan(field_mark.size()), value);
  if (has_nul(value, end_)) return {400, "NUL in a variable's value"};
  if (Bytes* const place = known(text)) {
    const bool differs = place == &length_ && place->data != nullptr && place->view() != value;
    if (differs) return {400, "more than one CONTENT_LENGTH"};
    *place = value;
  } else {
    if (text.empty()) return {400, "empty variable name"};
    if (!is_plain_name(text, end_) && !all(text, bytes::token)) return {400, "malformed variable name"};
  }
  request_.variables.push_back({text, value});
  return {};
}

Refusal CgiVariables::add_field(std::span<char> name, std::string_view value) {
  if (name.empty()) return {400, "empty field name"};
  if (!to_field_name(name.data(), name.size(), end_)) return {400, "malformed variable name"};
  if (!is_text(value, end_)) return {400, "control byte in a field's value"};
  const std::string_view text(name.data(), name.size());
  fields_too_large_ |= limits_.field_size != 0 && text.size() + value.size() + field_overhead > limits_.field_size;
  switch (text.size()) {
    case 4:
      if (!same_token(text, "host")) break;
      if (host_.data != nullptr) return {400, "more than one Host"};
      host_ = value;
      break;
    case 5:
      if (same_token(text, "proxy")) return {};
      break;
    case 12:
      if (same_token(text, "content-type")) return client_type_ = value, Refusal{};
      break;
    case 14:
      if (!same_token(text, "content-length")) break;
      if (client_length_.data != nullptr && client_length_.view() != value) {
        return {400, "more than one Content-Length"};
      }
      return client_length_ = value, Refusal{};
    case 17:
      if (same_token(text, "transfer-encoding")) return {};
      break;
    default: break;
  }
  head_.fields.push_back({text, value});
  return {};
}

// CONTENT_LENGTH and CONTENT_TYPE count; what the client's own fields said has to agree with the length.
Refusal CgiVariables::add_content_fields() {
  head_.framing = Framing::none;
  head_.content_length = 0;
  if (length_.size != 0) {
    if (const Refusal refusal = judge_length(length_, head_.content_length)) return refusal;
    std::uint64_t client_length = 0;
    const bool said_twice = client_length_.size != 0 && client_length_.view() != length_.view();
    if (said_twice && (judge_length(client_length_, client_length) || client_length != head_.content_length)) {
      return {400, "HTTP_CONTENT_LENGTH differs from CONTENT_LENGTH"};
    }
    head_.framing = Framing::length;
    head_.fields.push_back({content_length, length_});
  }
  if (type_.size == 0) type_ = client_type_;
  if (type_.size == 0) return {};
  if (!is_text(type_, end_)) return {400, "control byte in CONTENT_TYPE"};
  head_.fields.push_back({content_type, type_});
  return {};
}

Refusal CgiVariables::judge_method() noexcept {
  head_.is_head = method_.view() == "HEAD";
  if (method_.size == 0) return {400, "no REQUEST_METHOD"};
  if (!all(method_, bytes::token)) return {400, "malformed method"};
  if (method_.size > method_bytes_max || !all(method_, bytes::method)) return {501, "unknown method"};
  head_.method = method_;
  return {};
}

Refusal CgiVariables::judge_version() noexcept {
  const std::string_view version = protocol_;
  head_.minor = version == "HTTP/1.0" ? 0 : 1;
  if (version == "HTTP/1.1" || version == "HTTP/1.0" || version.empty()) return {};
  const bool well_formed = (version.size() == 6 || (version.size() == 8 && version[6] == '.')) &&
                           version.starts_with("HTTP/") && is(version[5], bytes::digit) &&
                           is(version.back(), bytes::digit);
  if (!well_formed) return {400, "malformed SERVER_PROTOCOL"};
  if (version[5] == '0') return {505, "SERVER_PROTOCOL is older than HTTP/1.0"};
  return {};
}

Refusal CgiVariables::judge_size() const noexcept {
  const std::size_t line = head_.method.size + target_.size + line_overhead;
  if (limits_.request_line != 0 && line > limits_.request_line) return {414, "request line too long"};
  if (fields_too_large_) return {431, "field line too long"};
  const bool limited = limits_.fields - 1 < fields_max;  // neither 0 nor too many
  if (head_.fields.size() > (limited ? limits_.fields : fields_max)) return {431, "too many fields"};
  return {};
}

// Makes the target that the web server has not sent as a client would. Returns the authority in the place of a Host, or
// nothing.
Bytes CgiVariables::make_missing() {
  const bool lacks_target = target_.size == 0, lacks_host = host_.data == nullptr && server_name_.size != 0;
  if (!lacks_target && !lacks_host) [[likely]]
    return {};
  std::vector<char>& made = request_.made;
  const std::size_t target_bytes = 3 * (script_.size + path_info_.size) + 1 + query_.size + 1;
  made.resize((lacks_target ? target_bytes : 0) + (lacks_host ? server_name_.size + 1 + server_port_.size : 0));
  char* at = made.data();
  if (lacks_target) {
    char* const begin = at;
    at = escape(path_info_, escape(script_, at));
    if (at == begin) *at++ = '/';
    if (query_.size != 0) at = put(put(at, "?"), query_);
    target_ = {begin, static_cast<std::size_t>(at - begin)};
  }
  if (!lacks_host) return {};
  char* const begin = at;
  at = put(at, server_name_);
  std::uint16_t port = 0;
  const bool is_usual = server_port_.view() == (is_secure() ? "443" : "80");
  if (read_port(server_port_, port) && !is_usual) at = put(put(at, ":"), server_port_);
  const Bytes authority(begin, static_cast<std::size_t>(at - begin));
  return is_authority(authority) ? authority : Bytes();  // some web servers name a pattern there
}

bool CgiVariables::is_secure() const noexcept { return is_on(https_) || same_ignoring_case(scheme_, "https"); }

void CgiVariables::set_scheme() noexcept {
  if (https_.size == 0 && scheme_.size == 0) return;
  head_.scheme = is_secure() ? std::string_view("https") : std::string_view("http");
}

// A path outside of the prefix would be served whole, past a web server that protects only what is under the prefix.
Refusal CgiVariables::judge_prefix() noexcept {
  const std::string_view prefix = without_slashes_at_end(script_), rest = path_info_, path = head_.path;
  if (rest.empty() || !prefix.starts_with('/') || !path.starts_with('/')) return {};
  const std::size_t size = spelled(path, prefix);
  if (size == 0) return {404, "SCRIPT_NAME is not a prefix of REQUEST_URI"};
  // Apache's mod_proxy_uwsgi with nocanon: the whole path, and as PATH_INFO the path with its query.
  if (size == path.size() && rest != "/" && without_slashes_at_end(rest) != prefix) return {};
  request_.prefix = prefix;
  request_.prefix_size = size;
  return {};
}

void CgiVariables::set_remote() noexcept {
  if (address_.size == 0) return;
  const auto address = IpAddress::parse(address_);
  if (!address) return;
  request_.remote = *address;
  request_.remote_port = 0;
  if (!read_port(port_, request_.remote_port)) request_.remote_port = 0;
  request_.names_remote = true;
}

void CgiVariables::note_names() noexcept {
  head_.name_bits = 0;
  for (const Field& field : head_.fields) head_.name_bits |= Head::name_bit(field.name);
  head_.has_underscore = false;  // each has become a hyphen
}

// A Host is judged also where an absolute target counts in its place.
Refusal CgiVariables::judge_host() noexcept {
  if (host_.data == nullptr) return {};
  // is_plain_host() reads sixteen bytes up to the value's end.
  const bool readable = host_.data + host_.size - begin_ >= 16;
  if (!(readable && is_plain_host(host_)) && !is_authority(host_)) return {400, "malformed Host"};
  if (head_.scheme.data == nullptr) head_.authority = host_;
  return {};
}

Refusal CgiVariables::judge_request() {
  if (const Refusal refusal = judge_method()) return refusal;
  if (const Refusal refusal = judge_version()) return refusal;
  const Bytes server = make_missing();
  if (const Refusal refusal = judge_target(target_, head_)) return refusal;
  if (head_.scheme.data == nullptr) head_.authority = server;
  return {};
}

Refusal CgiVariables::judge() {
  if (const Refusal refusal = judge_request()) {
    head_.method = head_.target = {};
    return refusal;
  }
  if (const Refusal refusal = judge_host()) return refusal;
  if (const Refusal refusal = add_content_fields()) return refusal;
  if (!is_text(user_, end_)) return {400, "control byte in REMOTE_USER"};
  if (const Refusal refusal = judge_size()) return refusal;
  return judge_prefix();
}

Refusal CgiVariables::finish() {
  if (const Refusal refusal = judge()) {
    head_.fields.clear();
    return refusal;
  }
  set_scheme();
  set_remote();
  note_names();
  head_.expect_continue = false;  // the web server has answered it, or will
  return {};
}

}  // namespace narwhal::protocol
