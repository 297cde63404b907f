#include "protocol/http1_trailers.hpp"

#include "protocol/characters.hpp"
#include "protocol/field_values.hpp"

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

}  // namespace

bool takes_trailers(const Field* request_fields, std::size_t count) noexcept {
  bool takes = false;
  for (std::size_t i = 0; i < count; ++i) {
    if (!same_token(request_fields[i].name, "te")) continue;
    for_each_member(request_fields[i].value,
                    [&](std::string_view coding) { takes |= same_ignoring_case(coding, "trailers"); });
  }
  return takes;
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
  for (std::size_t i = 0; i < count; ++i) at = encode_field(fields[i], at);
  return static_cast<std::size_t>(at - out);
}

}  // namespace narwhal::protocol
