#include <doctest/doctest.h>

#include <ctime>
#include <string>
#include <vector>

#include "protocol/http1_response.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using Length = ResponseHead::Length;

Field field(std::string_view name, std::string_view value) { return {name, value}; }

std::string encoded(const ResponseHead& head) {
  const std::size_t bound = response_head_bound(head);
  std::vector<char> room(bound);  // exactly the bound, so that AddressSanitizer sees one byte more
  const std::size_t size = encode_response_head(head, room.data());
  CHECK(size <= bound);
  return {room.data(), size};
}

std::string date_of(std::int64_t seconds) {
  char out[date_bytes];
  encode_date(seconds, out);
  return {out, date_bytes};
}

}  // namespace

TEST_CASE("response: the usual head is written whole") {
  const Field fields[] = {field("Content-Type", "text/plain")};
  ResponseHead head;
  head.fields = fields;
  head.field_count = 1;
  head.content_length = 13;
  head.server = "narwhal";
  const std::string date = date_of(784111777);
  head.date = date;
  CHECK(encoded(head) ==
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nServer: narwhal\r\n"
        "Content-Length: 13\r\n\r\n");
}

TEST_CASE("response: the connection is named where the version would have it otherwise") {
  ResponseHead head;
  head.length = Length::absent;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\n\r\n");
  head.keep_alive = false;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  head.minor = 0;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\n\r\n");
  head.keep_alive = true;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("response: a body is framed one way") {
  ResponseHead head;
  head.content_length = UINT64_MAX;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
  head.content_length = 0;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  head.length = Length::chunked;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  head.length = Length::until_close;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_CASE("response: fields that are the host's are not the application's to write") {
  const Field fields[] = {field("connection", "x"),
                          field("Keep-Alive", "x"),
                          field("Proxy-Connection", "x"),
                          field("TE", "x"),
                          field("Trailer", "x"),
                          field("Transfer-Encoding", "x"),
                          field("Upgrade", "x"),
                          field("CONTENT-LENGTH", "7"),
                          field("date", "x"),
                          field("Connectiom", "stays"),
                          field("X", "")};
  ResponseHead head;
  head.fields = fields;
  head.field_count = std::size(fields);
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nConnectiom: stays\r\nX: \r\nContent-Length: 0\r\n\r\n");
  for (std::size_t i = 0; i < 9; ++i) CHECK(is_host_field(fields[i].name));
  CHECK_FALSE(is_host_field("Server"));
  CHECK_FALSE(is_host_field(""));
}

TEST_CASE("response: an application's own Server field replaces ours") {
  const Field fields[] = {field("SERVER", "mine")};
  ResponseHead head;
  head.fields = fields;
  head.field_count = 1;
  head.server = "narwhal";
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nSERVER: mine\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("response: every status has its line") {
  for (int status = 100; status < 600; ++status) {
    CAPTURE(status);
    ResponseHead head;
    head.status = status;
    head.length = Length::absent;
    CHECK(encoded(head) ==
          "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_phrase(status)) + "\r\n\r\n");
  }
  CHECK(reason_phrase(404) == "Not Found");
  CHECK(reason_phrase(511) == "Network Authentication Required");
  CHECK(reason_phrase(299) == "Unknown");
  CHECK(reason_phrase(-1) == "Unknown");
  CHECK(reason_phrase(600) == "Unknown");
}

TEST_CASE("response: nothing that could forge a line is let through") {
  CHECK_FALSE(check_response(200, nullptr, 0));
  for (const int status : {-1, 0, 100, 199, 600, 1000}) CHECK(check_response(status, nullptr, 0));
  CHECK_FALSE(check_response(599, nullptr, 0));
  const auto accepts = [](std::string_view name, std::string_view value) {
    const Field fields[] = {field("Fine", "x"), field(name, value)};
    return !check_response(200, fields, 2);
  };
  CHECK(accepts("X", ""));
  CHECK_FALSE(accepts("", "x"));
  for (int i = 0; i < 256; ++i) {
    CAPTURE(i);
    const std::string byte(1, static_cast<char>(i));
    const bool control = (i < 0x20 && i != '\t') || i == 0x7f;
    CHECK(accepts("X", "a" + byte) == !control);
    const bool visible = i > 0x20 && i < 0x7f;
    const bool token = visible && std::string_view("\"(),/:;<=>?@[\\]{}").find(byte) == std::string_view::npos;
    CHECK(accepts("X" + byte, "a") == token);
  }
}

TEST_CASE("date: every day from 1970 to 2100 is the C library's") {
  for (std::int64_t day = 0; day < 47483; ++day) {
    const std::time_t seconds = day * 86400 + day % 86400;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char expected[64];
    const std::size_t size = std::strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    REQUIRE(date_of(seconds) == std::string(expected, size));
  }
}

TEST_CASE("date: times that four digits of a year cannot name are taken for the nearest that they can") {
  CHECK(date_of(-1) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(date_of(INT64_MAX) == "Fri, 31 Dec 9999 23:59:59 GMT");
}
