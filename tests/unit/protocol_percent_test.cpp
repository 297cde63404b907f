#include <doctest/doctest.h>

#include <string>

#include "protocol/percent.hpp"
#include "tests/wire/exact_copy.hpp"

namespace {

using narwhal::protocol::percent_decode;
using narwhal::wire::ExactCopy;

std::string decoded(std::string_view text) {
  const ExactCopy copy(text);
  std::string out(text.size(), '?');
  const auto size = percent_decode(copy.view(), out.data());
  return size ? out.substr(0, *size) : "malformed";
}

}  // namespace

TEST_CASE("percent: escapes become bytes and all else stays") {
  CHECK(decoded("") == "");
  CHECK(decoded("/a/b") == "/a/b");
  CHECK(decoded("/a%20b+c") == "/a b+c");
  CHECK(decoded("%41%4a%4A") == "AJJ");
  CHECK(decoded("caf%C3%A9") == "caf\xc3\xa9");
  CHECK(decoded("%2541") == "%41");
  CHECK(decoded("a%00b") == std::string("a\0b", 3));
  CHECK(decoded("%ff") == "\xff");
}

TEST_CASE("percent: a malformed escape is reported") {
  for (const std::string_view text : {"%", "a%", "%4", "a%4", "%4g", "%g4", "%%41", "% 4", "%+4"}) {
    CAPTURE(text);
    CHECK(decoded(text) == "malformed");
  }
}

TEST_CASE("percent: every pair of digits decodes to its byte") {
  for (int i = 0; i < 256; ++i) {
    char text[4];
    std::snprintf(text, sizeof text, i % 2 == 0 ? "%%%02x" : "%%%02X", static_cast<unsigned>(i));
    CHECK(decoded(text) == std::string(1, static_cast<char>(i)));
  }
}

TEST_CASE("percent: text may be decoded where it stands") {
  std::string text = "/a%20b/c%2Fd/e";
  const auto size = percent_decode(text, text.data());
  REQUIRE(size);
  CHECK(text.substr(0, *size) == "/a b/c/d/e");
}
