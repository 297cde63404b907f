#include "protocol/http1_head.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "protocol/characters.hpp"
#include "protocol/field_values.hpp"
#include "protocol/http1_cut.hpp"
#include "protocol/http1_scan.hpp"
#include "protocol/http1_target.hpp"
#include "protocol/request_rules.hpp"
#include "protocol/sixteen_bytes.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::size_t crlf_bytes = 2;
constexpr std::size_t empty_lines_max = 2;           // skipped before a request
constexpr std::size_t part_bytes_max = 1024 * 1024;  // what the line, or all fields together, may take at most
constexpr std::size_t fields_max = 32768;

// What the fields say, collected before it is judged. Bits, so that the usual head costs one comparison.
using Facts = unsigned;
constexpr Facts has_host = 1, has_length = 2, has_coding = 4;
constexpr Facts says_close = 8, says_keep_alive = 16;
constexpr Facts expects_continue = 32;
constexpr Facts coding_unknown = 64, expectation_unknown = 128;

Refusal note_host(std::string_view value, Facts& facts, Head& head) noexcept {
  if ((facts & has_host) != 0) return {400, "more than one Host"};
  if (!is_plain_host(value) && !is_authority(value)) return {400, "malformed Host"};
  facts |= has_host;
  if (head.scheme.data == nullptr) head.authority = value;
  return {};
}

Refusal note_length(std::string_view value, Facts& facts, Head& head) noexcept {
  if ((facts & has_length) != 0) return {400, "more than one Content-Length"};
  if (const Refusal refusal = judge_length(value, head.content_length)) return refusal;
  facts |= has_length;
  return {};
}

// RFC 9112 6.1, 6.3: chunked last and once, or nobody knows where the body ends; before it a coding we lack.
Refusal note_coding(std::string_view value, Facts& facts) noexcept {
  if ((facts & has_coding) != 0) return {400, "more than one Transfer-Encoding"};
  facts |= has_coding;
  if (same_token(value, "chunked")) return {};
  unsigned chunked = 0, codings = 0;
  bool chunked_last = false;
  for_each_member(value, [&](std::string_view coding) {
    chunked_last = same_token(coding, "chunked");
    chunked += chunked_last ? 1 : 0;
    ++codings;
  });
  if (!chunked_last || chunked > 1) return {400, "Transfer-Encoding is not chunked once, at its end"};
  if (codings == 1) return {400, "empty members in Transfer-Encoding"};  // a list that hides the coding from somebody
  facts |= coding_unknown;
  return {};
}

void note_connection(std::string_view value, Facts& facts) noexcept {
  for_each_member(value, [&](std::string_view option) {
    if (same_token(option, "close")) facts |= says_close;
    if (same_token(option, "keep-alive")) facts |= says_keep_alive;
  });
}

void note_expect(std::string_view value, Facts& facts) noexcept {
  for_each_member(value, [&](std::string_view member) {
    facts |= same_token(member, "100-continue") ? expects_continue : expectation_unknown;
  });
}

// By length first: most fields cost one comparison.
inline Refusal note_field(const Field& field, Facts& facts, Head& head) noexcept {
  const std::string_view name = field.name;
  switch (name.size()) {
    case 0: return {400, "empty field name"};  // llhttp before 9 lets it pass
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

// What is malformed comes before what we lack: 400 says that the client has to be fixed, not the server.
Refusal judge(Facts facts, Head& head) noexcept {
  const bool is_1_1 = head.minor == 1;
  if ((facts & has_host) == 0 && is_1_1) return {400, "no Host"};
  if ((facts & has_coding) != 0 && !is_1_1) return {400, "Transfer-Encoding in HTTP/1.0"};
  if ((facts & has_coding) != 0 && (facts & has_length) != 0) return {400, "Transfer-Encoding with Content-Length"};
  if ((facts & coding_unknown) != 0) return {501, "unknown transfer coding"};
  // RFC 9110 10.1.1: an expectation in HTTP/1.0 is to be ignored.
  if ((facts & expectation_unknown) != 0 && is_1_1) return {417, "unknown expectation"};
  if ((facts & has_coding) != 0) head.framing = Framing::chunked;
  if ((facts & has_length) != 0) head.framing = Framing::length;
  head.keep_alive = (facts & says_close) == 0 && (is_1_1 || (facts & says_keep_alive) != 0);
  const bool body_comes = head.framing == Framing::chunked || head.content_length > 0;
  head.expect_continue = (facts & expects_continue) != 0 && is_1_1 && body_comes;
  return {};
}

// `end` is that of readable memory.
Refusal judge_fields(const char* end, Head& head) noexcept {
  Facts facts = 0;
  std::uint64_t name_bits = 0;
  bool underscore = false;
  head.content_length = 0;
  head.framing = Framing::none;
  for (const Field& field : head.fields) {
    name_bits |= Head::name_bit(field.name);
    underscore |= has_underscore(field.name, end);
    if (const Refusal refusal = note_field(field, facts, head)) return refusal;
  }
  head.name_bits = name_bits;
  head.has_underscore = underscore;
  if (facts == has_host && head.minor == 1) [[likely]] {
    head.keep_alive = true;
    head.expect_continue = false;
    return {};
  }
  return judge(facts, head);
}

HeadFed refused(const Refusal& refusal) noexcept {
  return {Status::refused, refusal.http_status, 0, 0, refusal.fault, false};
}

std::size_t empty_lines(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (at < crlf_bytes * empty_lines_max && bytes.size() - at >= 2 && bytes[at] == '\r' && bytes[at + 1] == '\n')
    at += 2;
  return at;
}

// What the request line may take: 0 is the most that any may.
std::size_t line_bytes_max(const HeadLimits& limits) noexcept {
  return limits.request_line - 1 < part_bytes_max ? limits.request_line : part_bytes_max;
}

ScanLimits limits_of_scan(const HeadLimits& limits, std::size_t skipped) noexcept {
  constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  std::size_t field_line = limits.field_size > crlf_bytes ? limits.field_size - crlf_bytes : 0;
  if (limits.field_size == 0) field_line = unlimited;
  return {line_bytes_max(limits), field_line, head_bytes_max(limits) - skipped};
}

bool too_many_fields(std::size_t count, const HeadLimits& limits) noexcept {
  const bool limited = limits.fields - 1 < fields_max;  // neither 0 nor too many
  return count > (limited ? limits.fields : fields_max);
}

// Of lines that llhttp could not cut into names and values.
Refusal refuse_fields(std::string_view head) noexcept {
  return {400, head.find("\r\n:") != std::string_view::npos ? "empty field name" : "malformed field line"};
}

HeadFed decode_whole(std::string_view bytes, const HeadScan& scan, Head& head) {
  const std::string_view whole(bytes.data(), scan.stop);
  head.fields.resize(scan.field_lines);
  HeadCut cut;
  cut_head(whole, head.fields, cut);
  Refusal refusal = judge_request_line(cut, {bytes.data(), scan.request_line}, head);
  if (!refusal && !cut.complete) refusal = refuse_fields(whole);
  if (!refusal) refusal = judge_fields(bytes.data() + bytes.size(), head);
  if (refusal) {
    head.fields.clear();  // some may be of an earlier head
    return refused(refusal);
  }
  return {Status::complete, 0, scan.stop, 0, "", cut.copied};
}

// As soon as the line is there, so that a client that speaks something else is refused at once.
Refusal judge_line_alone(std::string_view bytes, const HeadScan& scan, Head& head) {
  if (scan.request_line == 0 && !bytes.starts_with("\r\n")) return {};
  HeadCut cut;
  cut_request_line(bytes.substr(0, scan.request_line + crlf_bytes), cut);
  return judge_request_line(cut, bytes.substr(0, scan.request_line), head);
}

// Of bytes that were not scanned, or not to the end. When memory runs out, the line counts as malformed.
Refusal judge_unscanned_line(std::string_view request, Head& head) noexcept try {
  HeadScan scan;
  scan.request_line = request.find("\r\n");
  const bool whole =
      scan.request_line != std::string_view::npos && all(request.substr(0, scan.request_line), bytes::value);
  return whole ? judge_line_alone(request, scan, head) : Refusal{400, "unfinished"};
} catch (const std::bad_alloc&) {
  return {400, "no memory"};
}

}  // namespace

void Head::clear() noexcept {
  std::vector<Field> kept = std::move(fields);
  kept.clear();
  *this = {};
  fields = std::move(kept);
}

Bytes Head::field(std::string_view name) const noexcept {
  for (const Field& field : fields) {
    if (same_ignoring_case(field.name, name)) return field.value;
  }
  return {};
}

std::size_t head_bytes_max(const HeadLimits& limits) noexcept {
  std::size_t fields = part_bytes_max;
  const bool bounded = limits.fields != 0 && limits.field_size != 0;
  if (bounded && __builtin_mul_overflow(limits.fields, limits.field_size, &fields)) fields = part_bytes_max;
  return (empty_lines_max + 2) * crlf_bytes + line_bytes_max(limits) + std::min(fields, part_bytes_max);
}

HeadFed decode_head(std::string_view bytes, std::size_t scanned, const HeadLimits& limits, Head& head) {
  const std::size_t skipped = empty_lines(bytes);
  const std::string_view request(bytes.data() + skipped, bytes.size() - skipped);
  const std::size_t from = scanned > skipped ? scanned - skipped : 0;
  const ScanLimits scan_limits = limits_of_scan(limits, skipped);
  HeadScan scan = scan_head(request, from, scan_limits);
  if (scan.complete && from > 0) [[unlikely]] {  // once more, for the lines that came before
    scan = scan_head(request, 0, scan_limits);
  }
  if (scan.complete && !too_many_fields(scan.field_lines, limits)) [[likely]] {
    HeadFed fed = decode_whole(request, scan, head);
    if (fed.status == Status::complete) fed.consumed += skipped;
    return fed;
  }
  head.fields.clear();
  if (const Refusal refusal = judge_line_alone(request, scan, head)) return refused(refusal);
  if (scan.complete) return refused({431, "too many fields"});
  if (const Refusal refusal = scan_refusal(request, scan, scan_limits)) return refused(refusal);
  return {Status::need_more, 0, 0, skipped + scan.stop, "", false};
}

void decode_request_line(std::string_view bytes, Head& head) noexcept {
  const std::string_view request = bytes.substr(empty_lines(bytes));
  head = {};
  // A line that was refused for what it asks is still known; of a malformed one nothing is.
  const Refusal refusal = judge_unscanned_line(request, head);
  if (refusal.http_status == 400 || refusal.http_status == 505) {
    head = {};
    head.is_head = request.starts_with("HEAD ");
  }
}

}  // namespace narwhal::protocol
