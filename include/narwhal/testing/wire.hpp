// What may go on the wire, for the test harness: the server's own rules in a second wording, so that this header needs
// nothing of the server. tests/unit/worker_harness_rules_test.cpp compares the two for every byte, status and name.
// Ownership  views are of what the caller gave; faults and phrases are literals.
// Errors     a Fault is a value. Nothing throws except for lack of memory.
// Threads    none.
// Source     RFC 9110 5.1, 5.5, 6.5.1, 15; RFC 9112 4, 7.1.2.
#pragma once

#include <narwhal/text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace narwhal::testing::detail {

// What may not go on the wire, and which field is at fault where one is.
struct Fault {
  const char* text = nullptr;  // null: nothing is wrong
  const narwhal_field* field = nullptr;
  explicit operator bool() const noexcept { return text != nullptr; }
};

inline bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alnum || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

// No control byte but HTAB.
inline bool is_field_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

template <std::size_t N>
bool is_among(std::string_view name, const std::string_view (&names)[N]) noexcept {
  return std::any_of(names, names + N, [name](std::string_view one) { return equal_ignoring_case(name, one); });
}

inline Fault check_fields(const narwhal_field* fields, std::uint32_t count) noexcept {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!is_token(view_of(fields[i].name))) return {"field name is not a token", &fields[i]};
    if (!is_field_value(view_of(fields[i].value))) return {"control byte in a field's value", &fields[i]};
  }
  return {};
}

inline Fault check_response(int status, const narwhal_field* fields, std::uint32_t count) noexcept {
  if (status < 200 || status > 599) return {"status is not between 200 and 599"};
  return check_fields(fields, count);
}

inline Fault check_interim(int status, const narwhal_field* fields, std::uint32_t count) noexcept {
  if (status < 102 || status > 199) return {"interim status is not between 102 and 199"};
  return check_fields(fields, count);
}

// The host writes them, or they concern one connection only.
inline bool is_host_field(std::string_view name) noexcept {
  static constexpr std::string_view names[] = {"connection", "content-length",    "date",
                                               "keep-alive", "proxy-connection",  "te",
                                               "trailer",    "transfer-encoding", "upgrade"};
  return is_among(name, names);
}

inline bool is_forbidden_trailer(std::string_view name) noexcept {
  static constexpr std::string_view names[] = {"age",
                                               "authorization",
                                               "cache-control",
                                               "content-encoding",
                                               "content-range",
                                               "content-type",
                                               "cookie",
                                               "expect",
                                               "expires",
                                               "host",
                                               "if-match",
                                               "if-modified-since",
                                               "if-none-match",
                                               "if-range",
                                               "if-unmodified-since",
                                               "location",
                                               "max-forwards",
                                               "pragma",
                                               "proxy-authenticate",
                                               "proxy-authorization",
                                               "range",
                                               "retry-after",
                                               "set-cookie",
                                               "vary",
                                               "warning",
                                               "www-authenticate"};
  return is_host_field(name) || is_among(name, names);
}

inline Fault check_trailers(const narwhal_field* fields, std::uint32_t count) noexcept {
  if (const Fault fault = check_fields(fields, count)) return fault;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (is_forbidden_trailer(view_of(fields[i].name))) return {"field may not be a trailer", &fields[i]};
  }
  return {};
}

// Calls `visit` for each member of a comma-separated list that is not empty.
template <class Visit>
void for_each_member(std::string_view list, Visit visit) {
  while (!list.empty()) {
    std::string_view member = list.substr(0, list.find(','));
    list.remove_prefix(std::min(member.size() + 1, list.size()));
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t')) member.remove_prefix(1);
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t')) member.remove_suffix(1);
    if (!member.empty()) visit(member);
  }
}

// True when a field of this name has this member in its list.
inline bool lists(const narwhal_field* fields, std::uint32_t count, std::string_view name, std::string_view wanted) {
  bool found = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!equal_ignoring_case(view_of(fields[i].name), name)) continue;
    for_each_member(view_of(fields[i].value),
                    [&](std::string_view member) { found = found || equal_ignoring_case(member, wanted); });
  }
  return found;
}

// What a Content-Length among the fields says: -1 without one, -2 when it is not a number of at most 18 digits or two of
// them differ.
inline std::int64_t content_length_of(const narwhal_field* fields, std::uint32_t count) noexcept {
  std::int64_t length = -1;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!equal_ignoring_case(view_of(fields[i].name), "content-length")) continue;
    const std::string_view digits = view_of(fields[i].value);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (digits.empty() || digits.size() > 18 || !std::all_of(digits.begin(), digits.end(), is_digit)) return -2;
    std::int64_t number = 0;
    for (const char digit : digits) number = number * 10 + (digit - '0');
    if (length != -1 && length != number) return -2;
    length = number;
  }
  return length;
}

// How the client learns where the body ends.
struct Framing {
  enum class Length : std::uint8_t { known, chunked, until_close, absent, bad } length = Length::known;
  std::int64_t content_length = 0;
};

// `size`: of the body, -1 when it is not known. `bodyless`: the request was HEAD, or the status has no body.
inline Framing framing_of(const narwhal_response& response, std::int64_t size, bool bodyless, bool is_http_1_0) {
  using Length = Framing::Length;
  if (size >= 0 && !bodyless) return {Length::known, size};
  if (response.status == 204) return {Length::absent, 0};
  if (response.status == 205) return {Length::known, 0};
  if (response.status == 304 || (bodyless && size == 0)) size = -1;
  if (size < 0) size = content_length_of(response.fields, response.field_count);
  if (size == -2) return {Length::bad, 0};
  if (size >= 0) return {Length::known, size};
  if (bodyless) return {Length::absent, 0};
  return {is_http_1_0 ? Length::until_close : Length::chunked, 0};
}

// Of the statuses that fail() may get, 400 to 599: it is the body of the answer.
inline std::string_view error_phrase(int status) noexcept {
  static constexpr std::string_view client[] = {"Bad Request",
                                                "Unauthorized",
                                                "Payment Required",
                                                "Forbidden",
                                                "Not Found",
                                                "Method Not Allowed",
                                                "Not Acceptable",
                                                "Proxy Authentication Required",
                                                "Request Timeout",
                                                "Conflict",
                                                "Gone",
                                                "Length Required",
                                                "Precondition Failed",
                                                "Content Too Large",
                                                "URI Too Long",
                                                "Unsupported Media Type",
                                                "Range Not Satisfiable",
                                                "Expectation Failed",
                                                "I'm a teapot",
                                                "",
                                                "",
                                                "Misdirected Request",
                                                "Unprocessable Content",
                                                "Locked",
                                                "Failed Dependency",
                                                "Too Early",
                                                "Upgrade Required",
                                                "",
                                                "Precondition Required",
                                                "Too Many Requests",
                                                "",
                                                "Request Header Fields Too Large"};
  static constexpr std::string_view server[] = {"Internal Server Error",
                                                "Not Implemented",
                                                "Bad Gateway",
                                                "Service Unavailable",
                                                "Gateway Timeout",
                                                "HTTP Version Not Supported",
                                                "Variant Also Negotiates",
                                                "Insufficient Storage",
                                                "Loop Detected",
                                                "",
                                                "Not Extended",
                                                "Network Authentication Required"};
  std::string_view phrase;
  if (status == 451) phrase = "Unavailable For Legal Reasons";
  if (status >= 400 && status < 400 + static_cast<int>(std::size(client))) phrase = client[status - 400];
  if (status >= 500 && status < 500 + static_cast<int>(std::size(server))) phrase = server[status - 500];
  return phrase.empty() ? "Unknown" : phrase;
}

}  // namespace narwhal::testing::detail
