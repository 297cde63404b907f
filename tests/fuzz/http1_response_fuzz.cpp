// Response heads, interim ones and trailers of an application that may say anything: lines "name:value" after a status.
// Promise: what the checks let through becomes exactly the lines asked for, with nothing injected, within the bound.
#include <string>
#include <vector>

#include "protocol/characters.hpp"
#include "protocol/http1_chunks.hpp"
#include "protocol/http1_response.hpp"
#include "protocol/http1_trailers.hpp"
#include "tests/fuzz/cuts.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using fuzz::must;

// NUL separates fields and SOH a name from its value, so that both may hold any byte of interest.
std::vector<Field> fields_of(std::string_view text) {
  std::vector<Field> fields;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const std::size_t split = one.find('\1');
    const std::string_view value = split == std::string_view::npos ? std::string_view{} : one.substr(split + 1);
    fields.push_back({one.substr(0, split), value});
  }
  return fields;
}

std::vector<std::string> expected_lines(const ResponseHead& head) {
  std::vector<std::string> lines{"HTTP/1.1 " + std::to_string(head.status) + " " +
                                 std::string(reason_phrase(head.status))};
  if (!head.date.empty()) lines.push_back("Date: " + std::string(head.date));
  bool server = false, upgrade = false;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const Field& field = head.fields[i];
    const bool offer = head.status == 426 && same_ignoring_case(field.name, "upgrade");
    const bool announcement = head.trailers && same_ignoring_case(field.name, "trailer");
    if (is_host_field(field.name) && !offer && !announcement) continue;
    upgrade |= offer;
    server |= same_ignoring_case(field.name, "server");
    lines.push_back(std::string(field.name.view()) + ": " + std::string(field.value.view()));
  }
  if (!server && !head.server.empty()) lines.push_back("Server: " + std::string(head.server));
  if (head.length == ResponseHead::Length::known)
    lines.push_back("Content-Length: " + std::to_string(head.content_length));
  if (head.length == ResponseHead::Length::chunked) lines.emplace_back("Transfer-Encoding: chunked");
  std::string connection;
  if (head.minor == 1 && !head.keep_alive) connection = "close";
  if (head.minor == 0 && head.keep_alive) connection = "keep-alive";
  if (upgrade) connection += connection.empty() ? "upgrade" : ", upgrade";
  if (!connection.empty()) lines.push_back("Connection: " + connection);
  lines.emplace_back();
  return lines;
}

// At every CR and at every LF, as the most lenient client might.
std::vector<std::string> split_anywhere(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(std::string_view("\r\n\0", 3));
    if (end == std::string_view::npos) break;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  if (!text.empty()) lines.emplace_back(text);
  return lines;
}

void write_head(const ResponseHead& head) {
  std::vector<char> room(response_head_bound(head));
  const std::size_t written = encode_response_head(head, room.data());
  must(written <= room.size(), "the bound holds");
  must(split_anywhere({room.data(), written}) == expected_lines(head), "the lines are those asked for");
}

void write_trailers(const std::vector<Field>& fields) {
  if (check_trailers(fields.data(), fields.size())) return;
  std::vector<char> room(trailers_bound(fields.data(), fields.size()));
  const std::size_t written = encode_trailers(fields.data(), fields.size(), room.data());
  must(written == room.size(), "the bound is exact");
  const std::string lines(room.data(), written);
  std::vector<std::string> expected;
  for (const Field& field : fields) {
    must(!is_host_field(field.name), "nothing of the host's");
    expected.push_back(std::string(field.name.view()) + ": " + std::string(field.value.view()));
  }
  must(split_anywhere(lines) == expected, "the trailers are those asked for");
  constexpr std::size_t taken_max = 8 * 1024 - 2;  // by our own decoder
  if (lines.size() > taken_max) return;
  ChunkDecoder decoder;
  must(decoder.feed("0\r\n" + lines + "\r\n").status == Status::complete, "a strict reader takes the trailers");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::input_of(data, size);
  const std::vector<Field> fields = fields_of(input.stream);
  ResponseHead head;
  head.status = (input.seed >> 8 & 1) != 0 ? 426 : 80 + input.seed % 550;
  head.fields = fields.data();
  head.field_count = fields.size();
  head.length = static_cast<ResponseHead::Length>(input.seed % 4);
  head.content_length = input.seed * 0x1000100010001ull;
  head.minor = input.seed >> 3 & 1;
  head.keep_alive = (input.seed >> 4 & 1) != 0;
  head.server = (input.seed >> 5 & 1) != 0 ? "narwhal" : "";
  head.trailers = (input.seed >> 7 & 1) != 0;
  char date[date_bytes];
  encode_date(static_cast<std::int64_t>(head.content_length), date);
  if ((input.seed >> 6 & 1) != 0) head.date = {date, date_bytes};
  const bool final = !check_response(head.status, head.fields, head.field_count);
  const bool interim = !check_interim(head.status, head.fields, head.field_count);
  must(!final || !interim, "a status is of one kind");
  if (final || interim) write_head(head);
  write_trailers(fields);
  takes_trailers(fields.data(), fields.size());
  must(content_length_of(fields.data(), fields.size()) >= content_length_bad, "a length, or why there is none");
  return 0;
}
