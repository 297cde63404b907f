#include "core/json_text.hpp"

#include <doctest/doctest.h>

using namespace narwhal;

namespace {

std::string json(std::string_view bytes) {
  std::string text;
  append_json_string(text, bytes);
  return text;
}

}  // namespace

TEST_CASE("json text: printable ASCII and UTF-8 stay, quotes and backslashes are escaped") {
  CHECK(json("") == "\"\"");
  CHECK(json("a b/~") == "\"a b/~\"");
  CHECK(json("a\"b\\") == "\"a\\\"b\\\\\"");
  CHECK(json("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b") == "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b\"");
}

TEST_CASE("json text: control characters are escaped, those of two bytes too") {
  CHECK(json("\n\r\t") == "\"\\n\\r\\t\"");
  CHECK(json(std::string_view("\0\x1b\x7f", 3)) == "\"\\u0000\\u001b\\u007f\"");
  CHECK(json("\xc2\x9b") == "\"\\u009b\"");
  CHECK(json("\xc2\xa0") == "\"\xc2\xa0\"");
}

TEST_CASE("json text: each byte that is not UTF-8 becomes U+FFFD") {
  const std::string one = "\\ufffd";
  CHECK(json("\xff") == "\"" + one + "\"");
  CHECK(json("a\xc3") == "\"a" + one + "\"");
  CHECK(json("\xc3(") == "\"" + one + "(\"");
  CHECK(json("\xc0\xaf") == "\"" + one + one + "\"");                      // overlong
  CHECK(json("\xe0\x80\xaf") == "\"" + one + one + one + "\"");            // overlong
  CHECK(json("\xed\xa0\x80") == "\"" + one + one + one + "\"");            // a surrogate
  CHECK(json("\xf4\x90\x80\x80") == "\"" + one + one + one + one + "\"");  // above U+10FFFF
  CHECK(json("\xe2\x82") == "\"" + one + one + "\"");
}
