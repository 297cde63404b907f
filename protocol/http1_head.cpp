#include "protocol/http1_head.hpp"

#include <cstring>
#include <limits>

#include "protocol/characters.hpp"
#include "protocol/http1_scan.hpp"
#include "protocol/http1_target.hpp"
#include "protocol/llhttp_fields.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::size_t empty_lines_max = 2;              // skipped before a request
constexpr std::size_t unlimited_bytes = 1024 * 1024;    // what a part of the head without a limit may take
constexpr std::uint64_t length_max = std::numeric_limits<std::int64_t>::max();

// What the fields say about framing, collected before it is judged.
struct FieldFacts {
  unsigned hosts = 0, lengths = 0, codings = 0;
  bool close = false, keep_alive = false;
  bool expects = false;  // Expect: 100-continue
  bool coding_unknown = false, expectation_unknown = false;
};

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

// Calls `visit` for each member of a comma-separated list, without its white space; empty members are skipped.
template <class Visit>
void for_each_member(std::string_view list, Visit visit) noexcept {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view member = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (!member.empty() && is_blank(member.front())) member.remove_prefix(1);
    while (!member.empty() && is_blank(member.back())) member.remove_suffix(1);
    if (!member.empty()) visit(member);
  }
}

Refusal note_host(std::string_view value, FieldFacts& facts, Head& head) noexcept {
  if (++facts.hosts > 1) return {400, "more than one Host"};
  if (!is_authority(value)) return {400, "malformed Host"};
  if (head.scheme.data == nullptr && !head.is_connect) head.authority = value;
  return {};
}

Refusal note_length(std::string_view value, FieldFacts& facts, Head& head) noexcept {
  if (++facts.lengths > 1) return {400, "more than one Content-Length"};
  if (value.empty()) return {400, "malformed Content-Length"};
  std::uint64_t length = 0;
  for (const char c : value) {
    if (!is(c, bytes::digit)) return {400, "malformed Content-Length"};
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (length_max - digit) / 10) return {400, "Content-Length too large"};
    length = length * 10 + digit;
  }
  head.content_length = length;
  return {};
}

// RFC 9112 6.1, 6.3: chunked last and once, or nobody knows where the body ends; before it a coding we lack.
Refusal note_coding(std::string_view value, FieldFacts& facts) noexcept {
  if (++facts.codings > 1) return {400, "more than one Transfer-Encoding"};
  if (same_token(value, "chunked")) [[likely]] {
    return {};
  }
  unsigned chunked = 0;
  bool chunked_last = false;
  for_each_member(value, [&](std::string_view coding) {
    chunked_last = same_token(coding, "chunked");
    chunked += chunked_last;
  });
  if (!chunked_last || chunked > 1) return {400, "Transfer-Encoding is not chunked once, at its end"};
  facts.coding_unknown = true;
  return {};
}

void note_connection(std::string_view value, FieldFacts& facts) noexcept {
  if (same_token(value, "keep-alive")) {
    facts.keep_alive = true;
    return;
  }
  for_each_member(value, [&](std::string_view option) {
    facts.close |= same_token(option, "close");
    facts.keep_alive |= same_token(option, "keep-alive");
  });
}

void note_expect(std::string_view value, FieldFacts& facts) noexcept {
  for_each_member(value, [&](std::string_view member) {
    (same_token(member, "100-continue") ? facts.expects : facts.expectation_unknown) = true;
  });
}

// By length first: most fields cost one comparison.
Refusal note_field(const Field& field, FieldFacts& facts, Head& head) noexcept {
  const std::string_view name = field.name;
  switch (name.size()) {
    case 4: return same_token(name, "host") ? note_host(field.value, facts, head) : Refusal{};
    case 6:
      if (same_token(name, "expect")) note_expect(field.value, facts);
      return {};
    case 10:
      if (same_token(name, "connection")) note_connection(field.value, facts);
      return {};
    case 14: return same_token(name, "content-length") ? note_length(field.value, facts, head) : Refusal{};
    case 17: return same_token(name, "transfer-encoding") ? note_coding(field.value, facts) : Refusal{};
    default: return {};
  }
}

// What is malformed comes before what we lack: 400 says that the client has to be mended, not the server.
Refusal judge(const FieldFacts& facts, Head& head) noexcept {
  if (facts.hosts == 0 && head.minor == 1) return {400, "no Host"};
  if (facts.codings > 0 && head.minor == 0) return {400, "Transfer-Encoding in HTTP/1.0"};
  if (facts.codings > 0 && facts.lengths > 0) return {400, "Transfer-Encoding with Content-Length"};
  if (facts.coding_unknown) return {501, "unknown transfer coding"};
  const bool expectations_count = head.minor == 1;  // RFC 9110 10.1.1: to be ignored in HTTP/1.0
  if (facts.expectation_unknown && expectations_count) return {417, "unknown expectation"};
  head.framing = facts.codings > 0 ? Framing::chunked : facts.lengths > 0 ? Framing::length : Framing::none;
  head.keep_alive = !facts.close && (head.minor == 1 || facts.keep_alive);
  const bool body_comes = head.framing == Framing::chunked || head.content_length > 0;
  head.expect_continue = facts.expects && expectations_count && body_comes;
  return {};
}

Refusal judge_fields(Head& head) noexcept {
  FieldFacts facts;
  head.content_length = 0;
  for (const Field& field : head.fields) {
    if (const Refusal refusal = note_field(field, facts, head)) return refusal;
  }
  return judge(facts, head);
}

HeadFed refused(const Refusal& refusal) noexcept {
  return {Status::refused, refusal.http_status, 0, 0, refusal.fault};
}

std::size_t empty_lines(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (at < 2 * empty_lines_max && bytes.size() - at >= 2 && bytes[at] == '\r' && bytes[at + 1] == '\n') at += 2;
  return at;
}

}  // namespace

Bytes Head::field(std::string_view name) const noexcept {
  for (const Field& field : fields) {
    if (same_ignoring_case(field.name, name)) return field.value;
  }
  return {};
}

std::size_t head_bytes_max(const HeadLimits& limits) noexcept {
  const std::size_t line = limits.request_line != 0 ? limits.request_line : unlimited_bytes;
  std::size_t fields = unlimited_bytes;
  const bool bounded = limits.fields != 0 && limits.field_size != 0;
  if (bounded && __builtin_mul_overflow(limits.fields, limits.field_size, &fields)) fields = unlimited_bytes;
  const std::size_t crlf = 2;
  return empty_lines_max * crlf + line + crlf + fields + crlf;
}

HeadFed decode_head(std::string_view bytes, std::size_t scanned, const HeadLimits& limits, Head& head) noexcept {
  const std::size_t skipped = empty_lines(bytes);
  const std::string_view request = bytes.substr(skipped);
  const std::size_t from = scanned > skipped ? scanned - skipped : 0;
  HeadScan scan = scan_head(request, from, head_bytes_max(limits) - skipped, limits);
  if (scan.status == Status::complete && scan.request_line == 0) {  // its end was met in an earlier call
    scan.request_line = request.find('\r');
  }
  if (from > 0) scan.tabs = scan.tabs || std::memchr(request.data(), '\t', from) != nullptr;
  // As soon as the line is there, so that whoever speaks something else is told at once.
  if (scan.request_line != 0 || request.starts_with("\r\n")) {
    const Refusal refusal = parse_request_line(request.substr(0, scan.request_line), head);
    if (refusal) return refused(refusal);
  }
  if (scan.status == Status::refused) return refused(scan.refusal);
  if (scan.status == Status::need_more) return {Status::need_more, 0, 0, skipped + scan.size, ""};

  const std::size_t lines = scan.request_line + 2;
  Refusal refusal = split_fields({request.substr(lines, scan.size - lines), scan.tabs}, limits.fields, head.fields);
  if (!refusal) refusal = judge_fields(head);
  if (refusal) return refused(refusal);
  return {Status::complete, 0, skipped + scan.size, 0, ""};
}

}  // namespace narwhal::protocol
