// Each call of llhttp_execute in this program is counted on its way: the linker's --wrap leads it through here.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "protocol/http1_head.hpp"

namespace {

std::vector<std::string_view> given;  // to llhttp_execute since the last look

using Execute = int(void* parser, const char* bytes, std::size_t size);

int note(Execute* execute, void* parser, const char* bytes, std::size_t size) {
  given.emplace_back(bytes, size);
  return execute(parser, bytes, size);
}

}  // namespace

extern "C" {
// The names are the linker's.
Execute __real_llhttp_execute;
int __wrap_llhttp_execute(void* parser, const char* bytes, std::size_t size) {
  return note(__real_llhttp_execute, parser, bytes, size);
}
#ifdef NARWHAL_LLHTTP_SSE42
Execute __real_narwhal_llhttp_execute_sse42;
int __wrap_narwhal_llhttp_execute_sse42(void* parser, const char* bytes, std::size_t size) {
  return note(__real_narwhal_llhttp_execute_sse42, parser, bytes, size);
}
#endif
}

namespace {

using namespace narwhal;
using namespace narwhal::protocol;

// What llhttp was given while this was decoded, as offsets: "0+40", or "copy+40" where it was no part of `bytes`.
std::string given_of(std::string_view bytes, std::size_t scanned, Status expected) {
  given.clear();
  Head head;
  CHECK(decode_head(bytes, scanned, {}, head).status == expected);
  std::string text;
  for (const std::string_view one : given) {
    const bool inside = one.data() >= bytes.data() && one.data() < bytes.data() + bytes.size();
    text += text.empty() ? "" : " ";
    text += inside ? std::to_string(one.data() - bytes.data()) : "copy";
    text += "+" + std::to_string(one.size());
  }
  return text;
}

TEST_CASE("llhttp: it is given an ordinary head once, whole, where it lies, and nothing after it") {
  const std::string head = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nCookie: a_b=c\r\n\r\n";
  const std::string size = std::to_string(head.size());
  CHECK(given_of(head, 0, Status::complete) == "0+" + size);
  CHECK(given_of(head + "hello", 0, Status::complete) == "0+" + size);
  CHECK(given_of(head + head, 0, Status::complete) == "0+" + size);
  CHECK(given_of("\r\n" + head, 0, Status::complete) == "2+" + size);
  CHECK(given_of(head, 5, Status::complete) == "0+" + size);
  CHECK(given_of(head, 30, Status::complete) == "0+" + size);
}

TEST_CASE("llhttp: it is given the line alone as soon as that is whole, once") {
  CHECK(given_of("GET / HTTP/1.1\r", 0, Status::need_more).empty());
  CHECK(given_of("GET / HTTP/1.1\r\nHost:", 0, Status::need_more) == "0+16");
  CHECK(given_of("GET / HTTP/1.1\r\nHost: a\r\n", 18, Status::need_more).empty());
}

TEST_CASE("llhttp: it is given a copy of what it refused, and of nothing else") {
  CHECK(given_of("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 0, Status::complete) == "0+28 copy+27");
  CHECK(given_of("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 0, Status::refused) == "0+30 copy+30");
  CHECK(given_of("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 0, Status::refused) == "0+27");
}

TEST_CASE("llhttp: it is not given what the scan refuses") {
  for (const char* bytes : {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n",
                            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"}) {
    CAPTURE(bytes);
    const std::string only_the_line = given_of(bytes, 0, Status::refused);
    CHECK((only_the_line.empty() || only_the_line == "0+16"));
  }
}

}  // namespace
