#include "protocol/proxy_header.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/wire/address_text.hpp"
#include "tests/wire/exact_copy.hpp"
#include "tests/wire/proxy_headers.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::address_text;
using wire::ExactCopy;

// "192.0.2.1:56324+3": the source, and how many bytes follow the header. "own+0", "more", "400: why".
std::string meaning_in_pieces(std::string_view bytes, std::size_t first, std::size_t step, ProxyVersions accepted) {
  std::size_t there = 0;
  for (std::size_t piece = first;; piece = step) {
    there = std::min(bytes.size(), there + piece);
    const ExactCopy copy(bytes.substr(0, there));
    const ProxyFed fed = decode_proxy_header(copy.view(), accepted);
    if (fed.status == Status::refused) return "400: " + std::string(fed.fault);
    if (fed.status == Status::need_more) {
      if (there == bytes.size()) return "more";
      continue;
    }
    const std::string source =
        fed.names_source ? address_text(fed.source) + ":" + std::to_string(fed.port) : std::string("own");
    return source + "+" + std::to_string(bytes.size() - fed.consumed);
  }
}

}  // namespace

TEST_CASE("proxy header: it means the same wherever the network cuts it") {
  for (const wire::ProxyRow& row : wire::proxy_headers) {
    const std::string bytes(row.bytes);
    CAPTURE(bytes);
    CHECK(meaning_in_pieces(row.bytes, row.bytes.size(), 1, {}) == row.meaning);
    CHECK(meaning_in_pieces(row.bytes, 0, 1, {}) == row.meaning);
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
      CAPTURE(cut);
      CHECK(meaning_in_pieces(row.bytes, cut, row.bytes.size(), {}) == row.meaning);
    }
  }
}

TEST_CASE("proxy header: a version that is not accepted is none") {
  const std::string_view v1 = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
  const std::string v2 = wire::proxy_v2("\x21\x11", std::string("\xc0\0\2\1\xc0\0\2\2\0\1\0\2", 12));
  CHECK(meaning_in_pieces(v1, v1.size(), 1, {.v1 = true, .v2 = false}) == "192.0.2.1:1+0");
  CHECK(meaning_in_pieces(v2, v2.size(), 1, {.v1 = false, .v2 = true}) == "192.0.2.1:1+0");
  CHECK(meaning_in_pieces(v1, 1, 1, {.v1 = false, .v2 = true}) == "400: no PROXY header of version 2");
  CHECK(meaning_in_pieces(v2, 1, 1, {.v1 = true, .v2 = false}) == "400: no PROXY header of version 1");
}

TEST_CASE("proxy header: its first bytes tell it from a request") {
  CHECK(like_proxy_header("") == Likeness::maybe);
  CHECK(like_proxy_header("P") == Likeness::maybe);
  CHECK(like_proxy_header("PROXY") == Likeness::maybe);
  CHECK(like_proxy_header("PROXY ") == Likeness::yes);
  CHECK(like_proxy_header("PROXY TCP4") == Likeness::yes);
  CHECK(like_proxy_header("POST / HTTP/1.1") == Likeness::no);
  CHECK(like_proxy_header("proxy ") == Likeness::no);
  CHECK(like_proxy_header("\r\n") == Likeness::maybe);
  CHECK(like_proxy_header("\r\nGET") == Likeness::no);
  CHECK(like_proxy_header(std::string_view("\r\n\r\n\0\r\nQUIT", 11)) == Likeness::maybe);
  CHECK(like_proxy_header(std::string_view("\r\n\r\n\0\r\nQUIT\n", 12)) == Likeness::yes);
}
