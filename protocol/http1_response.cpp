#include "protocol/http1_response.hpp"

#include <array>
#include <cstring>

#include "core/civil_time.hpp"
#include "protocol/characters.hpp"
#include "protocol/sixteen_bytes.hpp"

namespace narwhal::protocol {
namespace {

constexpr int interim_min = 102, status_min = 200, status_max = 599;
constexpr int status_count = 600;

struct Reason {
  int status;
  std::string_view phrase;
};

// The IANA registry of 2025, without what is marked unused.
constexpr Reason reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

constexpr std::string_view unknown_reason = "Unknown";
constexpr std::size_t phrase_bytes_max = 31;

// Whole status lines by status, so that writing one is one copy.
struct StatusLine {
  std::uint8_t size = 0;
  char text[13 + phrase_bytes_max + 2] = {};  // "HTTP/1.1 200 ", phrase, CRLF
};

constexpr std::array<StatusLine, status_count - 100> status_lines = [] {
  std::array<StatusLine, status_count - 100> lines{};
  const auto fill = [&](int status, std::string_view phrase) {
    StatusLine& line = lines[static_cast<std::size_t>(status - 100)];
    std::size_t at = 0;
    for (const char c : std::string_view("HTTP/1.1 ")) line.text[at++] = c;
    for (const int divisor : {100, 10, 1}) line.text[at++] = static_cast<char>('0' + status / divisor % 10);
    line.text[at++] = ' ';
    for (const char c : phrase) line.text[at++] = c;
    line.text[at++] = '\r';
    line.text[at++] = '\n';
    line.size = static_cast<std::uint8_t>(at);
  };
  for (int status = 100; status < status_count; ++status) fill(status, unknown_reason);
  for (const Reason& reason : reasons) fill(reason.status, reason.phrase);
  return lines;
}();

constexpr std::size_t phrase_at = 13;
constexpr std::string_view phrase_of(const StatusLine& line) noexcept {
  return {line.text + phrase_at, line.size - phrase_at - 2};
}

constexpr bool has_line(int status) noexcept { return status >= 100 && status < status_count; }

inline char* put(char* out, std::string_view text) noexcept {
  if (text.empty()) return out;  // its pointer may be null, which memcpy must not be given
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_number(char* out, std::uint64_t number) noexcept {
  char digits[20];
  char* at = digits + sizeof digits;
  do {
    *--at = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return put(out, {at, static_cast<std::size_t>(digits + sizeof digits - at)});
}

[[gnu::always_inline]] inline char* put_length(char* out, const ResponseHead& head) noexcept {
  switch (head.length) {
    case ResponseHead::Length::known:
      out = put(out, "Content-Length: ");
      out = put_number(out, head.content_length);
      return put(out, "\r\n");
    case ResponseHead::Length::chunked: return put(out, "Transfer-Encoding: chunked\r\n");
    case ResponseHead::Length::until_close:
    case ResponseHead::Length::absent: return out;
  }
  return out;
}

// Said only where the version would have it otherwise, and where an Upgrade field needs its name here.
char* put_connection(char* out, const ResponseHead& head, bool upgrade) noexcept {
  const bool said = head.keep_alive == (head.minor == 0);
  if (!said && !upgrade) [[likely]]
    return out;
  out = put(out, "Connection: ");
  if (said) out = put(out, head.keep_alive ? std::string_view("keep-alive") : std::string_view("close"));
  if (upgrade) out = put(out, said ? std::string_view(", upgrade") : std::string_view("upgrade"));
  return put(out, "\r\n");
}

char* put_two_digits(char* out, unsigned number) noexcept {
  *out++ = static_cast<char>('0' + number / 10);
  *out++ = static_cast<char>('0' + number % 10);
  return out;
}

}  // namespace

void encode_date(std::int64_t unix_seconds, char* out) noexcept {
  const CivilTime time = civil_time(unix_seconds);
  out = put(out, std::string_view("SunMonTueWedThuFriSat").substr(time.weekday * 3, 3));
  out = put(out, ", ");
  out = put_two_digits(out, time.day);
  *out++ = ' ';
  out = put(out, std::string_view("JanFebMarAprMayJunJulAugSepOctNovDec").substr((time.month - 1) * 3, 3));
  *out++ = ' ';
  out = put_two_digits(out, time.year / 100);
  out = put_two_digits(out, time.year % 100);
  *out++ = ' ';
  out = put_two_digits(out, time.hour);
  *out++ = ':';
  out = put_two_digits(out, time.minute);
  *out++ = ':';
  out = put_two_digits(out, time.second);
  put(out, " GMT");
}

std::string_view reason_phrase(int status) noexcept {
  if (!has_line(status)) return unknown_reason;
  const StatusLine& line = status_lines[static_cast<std::size_t>(status - 100)];
  return phrase_of(line);
}

Fault check_fields(const Field* fields, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view name = fields[i].name;
    if (!is_plain_token(name) && (name.empty() || !all(name, bytes::token)))
      return {"field name is not a token", &fields[i]};
    if (!is_text(fields[i].value)) return {"control byte in a field's value", &fields[i]};
  }
  return {};
}

Fault check_response(int status, const Field* fields, std::size_t count) noexcept {
  if (status < status_min || status > status_max) return {"status is not between 200 and 599"};
  return check_fields(fields, count);
}

Fault check_reason(std::string_view reason) noexcept {
  if (!all({reason.data(), reason.size()}, bytes::value)) return {"control byte in the reason phrase"};
  return {};
}

Fault check_interim(int status, const Field* fields, std::size_t count) noexcept {
  if (status < interim_min || status >= status_min) return {"interim status is not between 102 and 199"};
  return check_fields(fields, count);
}

bool is_host_field(std::string_view name) noexcept {
  switch (name.size()) {
    case 2: return same_token(name, "te");
    case 4: return same_token(name, "date");
    case 7: return same_token(name, "trailer") || same_token(name, "upgrade");
    case 10: return same_token(name, "connection") || same_token(name, "keep-alive");
    case 14: return same_token(name, "content-length");
    case 16: return same_token(name, "proxy-connection");
    case 17: return same_token(name, "transfer-encoding");
    default: return false;
  }
}

std::int64_t content_length_of(const Field* fields, std::size_t count) noexcept {
  std::int64_t length = content_length_none;
  for (std::size_t i = 0; i < count; ++i) {
    if (!same_token(fields[i].name, "content-length")) continue;
    const std::string_view digits = fields[i].value;
    // Eighteen digits always fit; nineteen sometimes do, and nobody has so much to send.
    if (digits.empty() || digits.size() > 18 || !all(digits, bytes::digit)) return content_length_bad;
    std::int64_t number = 0;
    for (const char digit : digits) number = number * 10 + (digit - '0');
    if (length != content_length_none && length != number) return content_length_bad;
    length = number;
  }
  return length;
}

std::size_t response_head_bound(const ResponseHead& head) noexcept {
  // The lines that need no field: status, Date, Server, Connection, Content-Length or Transfer-Encoding, empty line.
  constexpr std::size_t fixed = sizeof(StatusLine::text) + 8 + 10 + 33 + 38 + 2;
  std::size_t bound = fixed + head.reason.size() + head.date.size() + head.server.size();
  for (std::size_t i = 0; i < head.field_count; ++i) bound += head.fields[i].name.size + head.fields[i].value.size + 4;
  return bound;
}

char* encode_field(const Field& field, char* out) noexcept {
  out = put(out, field.name);
  out = put(out, ": ");
  out = put(out, field.value);
  return put(out, "\r\n");
}

namespace {

// What every wire has between the status and the empty line, Connection aside. `upgrade`: whether Upgrade is among it.
// In each caller, or a response over HTTP would pay for the other wires.
[[gnu::always_inline]] inline char* put_fields(char* at, const ResponseHead& head, bool& upgrade) noexcept {
  if (head.date.size() == date_bytes) [[likely]] {
    at = put(at, "Date: ");
    at = put(at, {head.date.data(), date_bytes});
    at = put(at, "\r\n");
  }
  bool server_given = false;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const Field& field = head.fields[i];
    if (is_host_field(field.name)) {
      const bool announces = head.trailers && same_token(field.name, "trailer");
      const bool offers = head.status == 426 && same_token(field.name, "upgrade");
      if (!announces && !offers) continue;
      upgrade |= offers;
    }
    server_given |= same_token(field.name, "server");
    at = encode_field(field, at);
  }
  if (!head.server.empty() && !server_given) {
    at = put(at, "Server: ");
    at = put(at, head.server);
    at = put(at, "\r\n");
  }
  return at;
}

const StatusLine& status_line(const ResponseHead& head) noexcept {
  return status_lines[static_cast<std::size_t>(has_line(head.status) ? head.status - 100 : 400)];
}

// The status from `offset` of the line on: with "HTTP/1.1 ", or without it.
inline char* put_status(char* out, const ResponseHead& head, std::size_t offset) noexcept {
  const StatusLine& line = status_line(head);
  // All the room of a line, for a copy of a constant size is a few moves; response_head_bound() counts it all.
  std::memcpy(out, line.text + offset, sizeof line.text - offset);
  if (head.reason.empty() || head.reason == phrase_of(line)) return out + line.size - offset;
  return put(put(out + phrase_at - offset, head.reason), "\r\n");
}

// A gateway frames the body itself: only a length that is known is said.
std::size_t end_gateway_head(char* at, const ResponseHead& head, char* out) noexcept {
  bool upgrade = false;
  at = put_fields(at, head, upgrade);
  if (head.length == ResponseHead::Length::known) at = put_length(at, head);
  at = put(at, "\r\n");
  return static_cast<std::size_t>(at - out);
}

}  // namespace

std::size_t encode_response_head(const ResponseHead& head, char* out) noexcept {
  bool upgrade = false;
  char* at = put_fields(put_status(out, head, 0), head, upgrade);
  at = put_length(at, head);
  at = put_connection(at, head, upgrade);
  at = put(at, "\r\n");
  return static_cast<std::size_t>(at - out);
}

std::size_t encode_cgi_head(const ResponseHead& head, char* out) noexcept {
  constexpr std::size_t version_bytes = 9;  // "HTTP/1.1 "
  return end_gateway_head(put_status(put(out, "Status: "), head, version_bytes), head, out);
}

std::size_t encode_uwsgi_head(const ResponseHead& head, char* out) noexcept {
  return end_gateway_head(put_status(out, head, 0), head, out);
}

}  // namespace narwhal::protocol
