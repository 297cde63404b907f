#include <doctest/doctest.h>

#include <string>

#include "protocol/scgi_head.hpp"
#include "tests/wire/cgi_variables.hpp"
#include "tests/wire/head_pieces.hpp"
#include "tests/wire/scgi_heads.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::Pairs;

std::string meaning(const std::string& bytes, const HeadLimits& limits = {}) {
  return wire::meaning_in_pieces(bytes, bytes.size(), 1, decode_scgi_head, limits);
}

}  // namespace

TEST_CASE("SCGI: a head means the same wherever the network cuts it") {
  for (const wire::HeadRow& row : wire::scgi_heads) wire::check_every_cut(row.bytes, row.meaning, decode_scgi_head);
}

TEST_CASE("SCGI: its variables are judged as those of every CGI wire") {
  for (const auto* table : wire::cgi_tables) {
    for (const wire::CgiRow& row : *table) {
      Pairs pairs = row.variables;
      bool has_length = false, repeats = false;
      for (std::size_t at = 0; at < pairs.size(); ++at) {
        has_length |= pairs[at].first == "CONTENT_LENGTH" || pairs[at].first == "HTTP_CONTENT_LENGTH";
        for (std::size_t before = 0; before < at; ++before) repeats |= pairs[at].first == pairs[before].first;
      }
      if (has_length || repeats) continue;  // scgi_heads.hpp has what SCGI makes of these
      pairs.insert(pairs.begin(), {{"CONTENT_LENGTH", "0"}, {"SCGI", "1"}});
      CAPTURE(row.meaning);
      std::string expected(row.meaning);
      if (expected[3] != ':') {  // not refused: the length is one field more
        const std::size_t type = expected.find(" | Content-Type: ");
        const std::size_t last = std::min({type, expected.find(" http", expected.find(" @")), expected.find(" ^/"),
                                           expected.find(" ~0"), expected.find(" ~1"), expected.size()});
        expected.insert(last, " | Content-Length: 0");
        expected.replace(expected.find(" none "), 6, " length=0 ");
        expected += " +0";
      }
      CHECK(meaning(wire::scgi_head(pairs)) == expected);
    }
  }
}

TEST_CASE("SCGI: many variables are all distinguished") {
  Pairs pairs = wire::scgi_get({});
  for (int at = 0; at < 900; ++at) pairs.emplace_back("V" + std::to_string(at), "1");
  CHECK(meaning(wire::scgi_head(pairs)).starts_with("GET"));
  pairs.emplace_back("V123", "1");
  CHECK(meaning(wire::scgi_head(pairs)) == "400: SCGI variable twice");
  pairs.back() = {"V1234", "1"};
  CHECK(meaning(wire::scgi_head(pairs)).starts_with("GET"));
  for (int at = 0; at < 200; ++at) pairs.emplace_back("W" + std::to_string(at), "1");
  CHECK(meaning(wire::scgi_head(pairs)) == "431: too many variables");
}

TEST_CASE("SCGI: the head may be as long as that of HTTP, and its size is refused at the digit that says more") {
  HeadLimits limits{.request_line = 100, .fields = 2, .field_size = 100};
  const std::size_t most = head_bytes_max(limits);
  Pairs pairs = wire::scgi_get({{"PADDING", ""}});
  const std::size_t rest = wire::scgi_block(pairs).size();
  pairs.back().second = std::string(most - rest, 'p');
  CHECK(meaning(wire::scgi_head(pairs), limits).starts_with("GET"));
  pairs.back().second += 'p';
  CHECK(meaning(wire::scgi_head(pairs), limits) == "431: SCGI head too long");
  CHECK(meaning(std::to_string(most + 1), limits) == "431: SCGI head too long");
  CHECK(meaning(std::to_string(most), limits) == "more");
}
