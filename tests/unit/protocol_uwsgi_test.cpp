#include <doctest/doctest.h>

#include <string>

#include "protocol/uwsgi_head.hpp"
#include "tests/wire/cgi_variables.hpp"
#include "tests/wire/head_pieces.hpp"
#include "tests/wire/uwsgi_packets.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::Pairs;

std::string meaning(const std::string& bytes, const HeadLimits& limits = {}) {
  return wire::meaning_in_pieces(bytes, bytes.size(), 1, decode_uwsgi_head, limits);
}

}  // namespace

TEST_CASE("uwsgi: a packet means the same wherever the network cuts it") {
  for (const wire::HeadRow& row : wire::uwsgi_packets) wire::check_every_cut(row.bytes, row.meaning, decode_uwsgi_head);
}

TEST_CASE("uwsgi: its variables are judged as those of every CGI wire") {
  const auto check = [](const wire::CgiRow& row) {
    CAPTURE(row.meaning);
    const bool refused = row.meaning[3] == ':';
    CHECK(meaning(wire::uwsgi_packet(row.variables)) == std::string(row.meaning) + (refused ? "" : " +0"));
  };
  for (const auto* table : wire::cgi_tables) {
    for (const wire::CgiRow& row : *table) check(row);
  }
  for (const wire::CgiRow& row : wire::cgi_with_nul) check(row);
}

TEST_CASE("uwsgi: a packet is as long as its size can say, or as a head of HTTP may be") {
  Pairs pairs = wire::uwsgi_get;
  pairs.emplace_back("V", "");
  pairs.back().second = std::string(0xffff - wire::uwsgi_block(pairs).size(), 'v');
  CHECK(wire::uwsgi_packet(pairs).size() == uwsgi_head_bytes_max);
  CHECK(meaning(wire::uwsgi_packet(pairs)).starts_with("GET"));
  const HeadLimits limits{.request_line = 100, .fields = 2, .field_size = 100};
  CHECK(meaning(wire::uwsgi_packet(pairs), limits) == "431: uwsgi packet too long");
  CHECK(meaning(std::string("\0\xff\xff\0", 4), limits) == "431: uwsgi packet too long");
}

TEST_CASE("uwsgi: more than a thousand variables are refused") {
  Pairs pairs = wire::uwsgi_get;
  while (pairs.size() < 1000) pairs.emplace_back("V" + std::to_string(pairs.size()), "1");
  CHECK(meaning(wire::uwsgi_packet(pairs)).starts_with("GET"));
  pairs.emplace_back("V", "1");
  CHECK(meaning(wire::uwsgi_packet(pairs)) == "431: too many variables");
}

TEST_CASE("uwsgi: what is not answered is reported with its modifiers") {
  Head head;
  CgiRequest request;
  std::string ping("\x64\0\0\0", 4);
  CHECK(decode_uwsgi_head(ping, {}, head, request).modifier1 == 100);
  std::string other("\0\0\0\x07", 4);
  const UwsgiFed fed = decode_uwsgi_head(other, {}, head, request);
  CHECK(fed.refusal.http_status == 501);
  CHECK(fed.modifier1 == 0);
  CHECK(fed.modifier2 == 7);
}
