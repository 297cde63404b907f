#include "protocol/http1_trailers.hpp"

#include <cstring>

#include "protocol/characters.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::string_view forbidden[] = {
    // framing and the connection
    "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    // routing
    "host",
    // who may: a decision taken by then
    "authorization", "cookie", "proxy-authenticate", "proxy-authorization", "set-cookie", "www-authenticate",
    // what is asked for
    "cache-control", "expect", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    "max-forwards", "pragma", "range",
    // what to do with the response
    "age", "date", "expires", "location", "retry-after", "vary", "warning",
    // how to read its body
    "content-encoding", "content-range", "content-type"};

std::string_view without_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

char* put(char* out, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

}  // namespace

bool takes_trailers(const Field* request_fields, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if (!same_token(request_fields[i].name, "te")) continue;
    std::string_view codings = request_fields[i].value;
    while (!codings.empty()) {
      const std::string_view one = codings.substr(0, codings.find(','));
      if (same_ignoring_case(without_blanks(one), "trailers")) return true;
      codings.remove_prefix(one.size() == codings.size() ? one.size() : one.size() + 1);
    }
  }
  return false;
}

bool is_forbidden_trailer(std::string_view name) noexcept {
  for (const std::string_view one : forbidden) {
    if (same_ignoring_case(name, one)) return true;
  }
  return false;
}

Fault check_trailers(const Field* fields, std::size_t count) noexcept {
  if (const Fault fault = check_fields(fields, count)) return fault;
  for (std::size_t i = 0; i < count; ++i) {
    if (is_forbidden_trailer(fields[i].name)) return {"field may not be a trailer", &fields[i]};
  }
  return {};
}

std::size_t trailers_bound(const Field* fields, std::size_t count) noexcept {
  std::size_t bound = 0;
  for (std::size_t i = 0; i < count; ++i) bound += fields[i].name.size + fields[i].value.size + 4;
  return bound;
}

std::size_t encode_trailers(const Field* fields, std::size_t count, char* out) noexcept {
  char* at = out;
  for (std::size_t i = 0; i < count; ++i) {
    at = put(at, fields[i].name);
    at = put(at, ": ");
    at = put(at, fields[i].value);
    at = put(at, "\r\n");
  }
  return static_cast<std::size_t>(at - out);
}

}  // namespace narwhal::protocol
