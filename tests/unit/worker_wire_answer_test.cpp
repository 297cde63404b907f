// What an answer looks like on each wire, and how a long head is put into records.
#include "worker/wire_answer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace narwhal;
using namespace narwhal::worker;
namespace fastcgi = protocol::fastcgi;

namespace {

constexpr WireId over_http{}, over_scgi{Wire::scgi}, over_uwsgi{Wire::uwsgi}, over_fastcgi{Wire::fastcgi, 0x0102};

protocol::ResponseHead head_of(const std::vector<Field>& fields) {
  protocol::ResponseHead head;
  head.fields = fields.data();
  head.field_count = fields.size();
  head.content_length = 6;
  return head;
}

std::string head_over(WireId wire, const protocol::ResponseHead& head, std::size_t* begin = nullptr) {
  std::string out(head_bound(wire, head), '?');
  const EncodedHead encoded = encode_head(wire, head, out.data());
  REQUIRE(encoded.size <= out.size());
  if (begin != nullptr) *begin = encoded.begin;
  return out.substr(0, encoded.size);
}

// The records' types with what they hold; each has the request's id.
std::vector<std::pair<fastcgi::Type, std::string>> records_in(std::string_view bytes) {
  std::vector<std::pair<fastcgi::Type, std::string>> records;
  while (!bytes.empty()) {
    REQUIRE(bytes.size() >= fastcgi::header_bytes);
    const fastcgi::Header header = fastcgi::decode_header(bytes.data());
    CHECK(header.version == fastcgi::version);
    CHECK(header.id == over_fastcgi.request);
    bytes.remove_prefix(fastcgi::header_bytes);
    REQUIRE(bytes.size() >= std::size_t{header.content} + header.padding);
    records.emplace_back(static_cast<fastcgi::Type>(header.type), bytes.substr(0, header.content));
    bytes.remove_prefix(header.content + header.padding);
  }
  return records;
}

}  // namespace

TEST_CASE("wire answer: the head's first line, and where it begins") {
  const std::vector<Field> fields = {{std::string_view("X-A"), std::string_view("1")}};
  const protocol::ResponseHead head = head_of(fields);
  std::size_t begin = 99;
  CHECK(head_over(over_http, head, &begin).starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(begin == 0);
  CHECK(head_over(over_uwsgi, head).starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(head_over(over_scgi, head) == "Status: 200 OK\r\nX-A: 1\r\nContent-Length: 6\r\n\r\n");
  const std::string records = head_over(over_fastcgi, head, &begin);
  CHECK(records.substr(begin) == head_over(over_scgi, head));
  CHECK(records_in(records).size() == 1);
}

TEST_CASE("wire answer: a head of any size becomes records of STDOUT") {
  for (const std::size_t size : {65'000u, 65'480u, 65'500u, 65'535u, 70'000u, 131'000u, 131'100u, 400'000u}) {
    std::string value(size, 'v');
    for (std::size_t at = 0; at < size; at += 7) value[at] = static_cast<char>('a' + at % 23);
    const std::vector<Field> fields = {{std::string_view("X-Long"), std::string_view(value)}};
    const protocol::ResponseHead head = head_of(fields);
    std::string joined;
    for (const auto& [type, content] : records_in(head_over(over_fastcgi, head))) {
      CHECK(type == fastcgi::Type::standard_out);
      joined += content;
    }
    CHECK(joined == head_over(over_scgi, head));
  }
}

TEST_CASE("wire answer: a plain answer, with its end") {
  const protocol::ResponseHead head = head_of({});
  const auto plain = [&](WireId wire, std::string_view text) {
    std::string out(plain_bound(wire, head, text), '?');
    return out.substr(0, encode_plain(wire, head, text, out.data()));
  };
  CHECK(plain(over_http, "short") == head_over(over_http, head) + "short\n");
  CHECK(plain(over_scgi, "short") == head_over(over_scgi, head) + "short\n");
  const auto records = records_in(plain(over_fastcgi, "short"));
  REQUIRE(records.size() == 4);
  CHECK(records[0].second == head_over(over_scgi, head));
  CHECK(records[1] == std::pair{fastcgi::Type::standard_out, std::string("short\n")});
  CHECK(records[2] == std::pair{fastcgi::Type::standard_out, std::string()});
  CHECK(records[3] == std::pair{fastcgi::Type::end_request, std::string(8, '\0')});
  CHECK(records_in(plain(over_fastcgi, "")).size() == 3);
}
