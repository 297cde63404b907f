#include <doctest/doctest.h>

#include <string>

#include "protocol/fastcgi_reader.hpp"
#include "protocol/fastcgi_records.hpp"
#include "tests/wire/cgi_variables.hpp"
#include "tests/wire/fastcgi_conversation.hpp"
#include "tests/wire/fastcgi_streams.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::Answers;
using wire::fastcgi_transcript;
using wire::Pairs;

std::string at_once(std::string_view stream, Answers answers = Answers::at_once, const HeadLimits& limits = {}) {
  return fastcgi_transcript(
      stream, answers, [&] { return stream.size(); }, limits);
}

// Byte by byte, and cut in two everywhere.
void check_every_cut(const wire::StreamRow& row, Answers answers) {
  CAPTURE(row.transcript);
  CHECK(at_once(row.bytes, answers) == row.transcript);
  CHECK(fastcgi_transcript(row.bytes, answers, [] { return 1u; }) == row.transcript);
  for (std::size_t cut = 1; cut < row.bytes.size(); ++cut) {
    CAPTURE(cut);
    std::size_t size = cut;
    CHECK(fastcgi_transcript(row.bytes, answers, [&] { return std::exchange(size, row.bytes.size()); }) ==
          row.transcript);
  }
}

}  // namespace

TEST_CASE("FastCGI: a stream means the same wherever the network cuts it") {
  for (const wire::StreamRow& row : wire::fastcgi_streams) check_every_cut(row, Answers::at_once);
}

TEST_CASE("FastCGI: while a request is in hand, others are refused and it can be aborted") {
  for (const wire::StreamRow& row : wire::fastcgi_in_hand) check_every_cut(row, Answers::never);
}

TEST_CASE("FastCGI: PARAMS are split at any byte, and between any records") {
  const std::string params = wire::fcgi_pairs(wire::fcgi_long);
  const std::string_view meaning = "head: GET /a 1.1 keep none @ | X: ";
  for (std::size_t cut = 1; cut < params.size(); ++cut) {
    CAPTURE(cut);
    const std::string stream =
        wire::fcgi_begin_request(1) + wire::fcgi_record(wire::fcgi_params, 1, params.substr(0, cut), cut % 9) +
        wire::fcgi_stream(wire::fcgi_params, 1, params.substr(cut)) + wire::fcgi_stream(wire::fcgi_stdin, 1, "");
    CHECK(at_once(stream) == std::string(meaning) + wire::long_value + " whole\n");
    CHECK(fastcgi_transcript(stream, Answers::at_once, [&] { return 1 + cut % 13; }) == at_once(stream));
  }
}

TEST_CASE("FastCGI: its variables are judged as those of every CGI wire") {
  const auto check = [](const wire::CgiRow& row) {
    CAPTURE(row.meaning);
    const bool refused = row.meaning[3] == ':', has_body = row.meaning.find(" length=") != std::string_view::npos;
    const bool is_empty = row.meaning.find(" length=0 ") != std::string_view::npos;
    std::string stream =
        wire::fcgi_begin_request(1, 0) + wire::fcgi_stream(wire::fcgi_params, 1, wire::fcgi_pairs(row.variables, true));
    if (!has_body || is_empty) stream += wire::fcgi_stream(wire::fcgi_stdin, 1, "");
    const std::string end = refused ? "\n" : has_body && !is_empty ? "\n" : " whole\n";
    CHECK(at_once(stream) == (refused ? "" : "head: ") + std::string(row.meaning) + end);
  };
  for (const auto* table : wire::cgi_tables) {
    for (const wire::CgiRow& row : *table) check(row);
  }
  for (const wire::CgiRow& row : wire::cgi_with_nul) check(row);
}

TEST_CASE("FastCGI: PARAMS of one record are neither copied nor moved, and the records are known for another worker") {
  std::string bytes = wire::ask_all + wire::fcgi_request(1, wire::fcgi_long) + "next";
  const std::string before = bytes;
  fastcgi::Reader reader({}, {});
  Head head;
  CgiRequest request;
  const fastcgi::Fed reply = reader.feed_head(bytes, 0, head, request);
  REQUIRE(reply.event == fastcgi::Event::reply);
  const fastcgi::Fed fed = reader.feed_head(bytes, reply.consumed, head, request);
  REQUIRE(fed.event == fastcgi::Event::head);
  CHECK(fed.intact);
  CHECK(fed.begin == wire::ask_all.size());
  CHECK(fed.consumed == bytes.size() - 4);
  CHECK(bytes == before);  // HTTP_X is written as X is
  const std::size_t value = before.find(wire::long_value);
  CHECK(head.fields.at(0).value.data == bytes.data() + value);
  // In pieces, or with a record in between, they are not.
  wire::FastcgiConversation conversation(Answers::at_once);
  const std::string request_bytes = wire::fcgi_request(1, wire::fcgi_long);
  conversation.arrive(request_bytes);
  CHECK(conversation.intact());
  CHECK(conversation.head_bytes() == request_bytes);
  conversation.arrive(request_bytes.substr(0, 30));
  conversation.arrive(request_bytes.substr(30));
  CHECK_FALSE(conversation.intact());
  const std::string params = wire::fcgi_pairs(wire::fcgi_long);
  conversation.arrive(wire::fcgi_begin_request(1) + wire::fcgi_stream(wire::fcgi_params, 1, params, 50) +
                      wire::fcgi_stream(wire::fcgi_stdin, 1, ""));
  CHECK_FALSE(conversation.intact());
}

TEST_CASE("FastCGI: what waits for the rest of a head is only its PARAMS") {
  fastcgi::Reader reader({}, {});
  Head head;
  CgiRequest request;
  std::string bytes = wire::fcgi_begin_request(1);
  CHECK(reader.at_rest());
  CHECK(reader.feed_head(bytes, 0, head, request).event == fastcgi::Event::need_more);
  CHECK(reader.kept() == 0);
  CHECK(reader.in_request());
  CHECK(reader.request_id() == 1);
  bytes = wire::fcgi_record(wire::fcgi_params, 1, "12345", 7) + wire::fcgi_record(wire::fcgi_params, 1, "6789", 7);
  CHECK(reader.feed_head(bytes, 0, head, request).event == fastcgi::Event::need_more);
  CHECK(reader.kept() == 8 + 9);  // behind the first header
  CHECK(bytes.substr(8, 9) == "123456789");
}

TEST_CASE("FastCGI: an answer that comes before the end of the body ends the request all the same") {
  fastcgi::Reader reader({}, {});
  Head head;
  CgiRequest request;
  std::string bytes =
      wire::head_of(1, wire::fcgi_post_5) + wire::fcgi_record(wire::fcgi_stdin, 1, "hello").substr(0, 10);
  const fastcgi::Fed fed = reader.feed_head(bytes, 0, head, request);
  REQUIRE(fed.event == fastcgi::Event::head);
  CHECK(reader.keeps_connection());
  CHECK(reader.feed_body(std::string_view(bytes).substr(fed.consumed)).bytes == "he");
  reader.next_request();
  CHECK_FALSE(reader.in_request());
  CHECK_FALSE(reader.at_rest());
  bytes = "llo" + wire::fcgi_record(wire::fcgi_stdin, 1) + wire::fcgi_request(1, wire::fcgi_get, "", 0);
  CHECK(reader.feed_head(bytes, 0, head, request).event == fastcgi::Event::head);
  CHECK(head.target.view() == "/a");
  CHECK_FALSE(reader.keeps_connection());
}

TEST_CASE("FastCGI: a refusal is final, and says whether there is a request to answer") {
  fastcgi::Reader reader({}, {});
  Head head;
  CgiRequest request;
  std::string bytes = wire::head_of(7, {{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a"}, {"HTTP_HOST", "a b"}});
  CHECK(reader.feed_head(bytes, 0, head, request).event == fastcgi::Event::refused);
  CHECK(reader.request_id() == 7);
  CHECK(head.method.view() == "GET");
  bytes = wire::fcgi_request(8, wire::fcgi_get);
  CHECK(reader.feed_head(bytes, 0, head, request).refusal.fault == std::string_view("malformed Host"));
  CHECK(reader.feed_body(bytes).event == fastcgi::Event::refused);
}

TEST_CASE("FastCGI: PARAMS are bounded as a head of HTTP is, before they are there") {
  const HeadLimits limits{.request_line = 100, .fields = 2, .field_size = 100};
  const std::size_t most = head_bytes_max(limits);
  const auto with_params = [](std::size_t size) {
    Pairs pairs = wire::fcgi_get;
    pairs.emplace_back("V", std::string(200, 'v'));
    pairs.back().second.resize(200 + size - wire::fcgi_pairs(pairs).size(), 'v');
    return wire::fcgi_request(1, pairs);
  };
  CHECK(at_once(with_params(most), Answers::at_once, limits).starts_with("head: GET"));
  CHECK(at_once(with_params(most + 1), Answers::at_once, limits) == "431: FastCGI PARAMS too long\n");
  const std::string lie = wire::fcgi_begin_request(1) + std::string("\1\4\0\1\xff\xff\0\0", 8);
  CHECK(at_once(lie, Answers::at_once, limits) == "431: FastCGI PARAMS too long\n");
}

TEST_CASE("FastCGI: more than a thousand variables are refused") {
  Pairs pairs = wire::fcgi_get;
  while (pairs.size() < 1000) pairs.emplace_back("V" + std::to_string(pairs.size()), "1");
  CHECK(at_once(wire::fcgi_request(1, pairs)).starts_with("head: GET"));
  pairs.emplace_back("V", "1");
  CHECK(at_once(wire::fcgi_request(1, pairs)) == "431: too many variables\n");
}

TEST_CASE("FastCGI: a stream is written as headers around what is sent") {
  std::uint64_t left = 200'000;
  std::string headers;
  std::size_t records = 0;
  while (left != 0) {
    char header[fastcgi::header_bytes];
    const std::size_t taken = fastcgi::encode_stream_header(fastcgi::Type::standard_out, 258, left, header);
    REQUIRE(taken <= fastcgi::content_bytes_max);
    CHECK(std::string(header, sizeof header) ==
          std::string("\1\6\1\2", 4) + wire::big_endian_16(taken) + std::string("\0\0", 2));
    left -= taken;
    ++records;
  }
  CHECK(records == 4);
}

TEST_CASE("FastCGI: the end of an answer closes its streams and says how it went") {
  char out[fastcgi::end_bytes_max];
  const auto end = [&](const fastcgi::End& what) { return std::string(out, fastcgi::encode_end(what, out)); };
  CHECK(end({.id = 258}) ==
        wire::fcgi_record(wire::fcgi_stdout, 258) + wire::fcgi_record(wire::fcgi_end, 258, std::string(8, '\0')));
  CHECK(end({.id = 1, .application_status = 0x01020304}) ==
        wire::fcgi_record(wire::fcgi_stdout, 1) +
            wire::fcgi_record(wire::fcgi_end, 1, std::string("\1\2\3\4\0\0\0\0", 8)));
  CHECK(end({.id = 1, .protocol_status = fastcgi::ProtocolStatus::overloaded}) ==
        wire::fcgi_record(wire::fcgi_stdout, 1) +
            wire::fcgi_record(wire::fcgi_end, 1, std::string("\0\0\0\0\2\0\0\0", 8)));
}

TEST_CASE("FastCGI: the end of an answer that is cut off is neither a record nor the end of a stream") {
  char header[fastcgi::header_bytes], end[fastcgi::end_request_bytes];
  fastcgi::encode_broken_header(258, header);
  CHECK(std::string(header, sizeof header) == std::string("\0\6\1\2\xff\xff\0\0", 8));
  fastcgi::encode_end_request({.id = 258, .application_status = 1}, end);
  CHECK(std::string(end, sizeof end) == wire::fcgi_record(wire::fcgi_end, 258, std::string("\0\0\0\1\0\0\0\0", 8)));
}

TEST_CASE("FastCGI: the answer to GET_VALUES has room for every number") {
  char out[fastcgi::values_result_bytes_max];
  const std::size_t size = fastcgi::encode_values_result(7, {0xffffffff, 0xffffffff}, out);
  CHECK(wire::reply_text({out, size}) == "VALUES FCGI_MAX_CONNS=4294967295 FCGI_MAX_REQS=4294967295 FCGI_MPXS_CONNS=0");
  CHECK(size <= sizeof out);
}
