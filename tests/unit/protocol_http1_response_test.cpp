#include <doctest/doctest.h>

#include <ctime>
#include <string>
#include <vector>

#include "protocol/characters.hpp"
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

TEST_CASE("response: every byte counts at every place of names and values of every length") {
  for (std::size_t size = 1; size <= 40; ++size) {
    const std::string fits(size, 'a');
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::vector<char> text(fits.begin(),
                               fits.end());  // exactly its size, so that AddressSanitizer sees one byte more
        text[at] = static_cast<char>(byte);
        const std::string_view view(text.data(), text.size());
        const Field named[] = {field(view, "")}, valued[] = {field("a", view)};
        const bool ok = !check_fields(named, 1) == is(text[at], bytes::token) &&
                        !check_fields(valued, 1) == is(text[at], bytes::value);
        if (!ok) FAIL("byte ", byte, " at ", at, " of ", size);
      }
    }
  }
}

TEST_CASE("response: what is wrong names the field that is at fault") {
  const Field fields[] = {field("Fine", "x"), field("Worse", "a\nb")};
  CHECK(check_response(200, fields, 2).field == &fields[1]);
  CHECK(check_response(200, fields, 1).field == nullptr);
  CHECK(check_response(99, fields, 2).field == nullptr);
}

TEST_CASE("response: an interim one has a status of its own kind and nothing but its fields") {
  for (const int status : {102, 103, 104, 199}) CHECK_FALSE(check_interim(status, nullptr, 0));
  for (const int status : {-1, 0, 99, 100, 101, 200, 204, 600}) CHECK(check_interim(status, nullptr, 0));
  const Field forged[] = {field("Link", "a\r\nb: c")};
  CHECK(check_interim(103, forged, 1));
  const Field fields[] = {field("Link", "</a>"), field("Content-Length", "5"), field("Upgrade", "x"),
                          field("Date", "x"),    field("Trailer", "x"),        field("Link", "</b>")};
  ResponseHead head;
  head.status = 103;
  head.fields = fields;
  head.field_count = std::size(fields);
  head.length = Length::absent;
  CHECK(encoded(head) == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n");
}

TEST_CASE("response: a Trailer field stays where trailers will follow, and there alone") {
  const Field fields[] = {field("trailer", "X-Sum"), field("TE", "x"), field("Upgrade", "x")};
  ResponseHead head;
  head.fields = fields;
  head.field_count = std::size(fields);
  head.length = Length::chunked;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  head.trailers = true;
  CHECK(encoded(head) == "HTTP/1.1 200 OK\r\ntrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("response: Upgrade stays in a 426, and Connection names it") {
  const Field fields[] = {field("UPGRADE", "TLS/1.2"), field("Connection", "x")};
  ResponseHead head;
  head.status = 426;
  head.fields = fields;
  head.field_count = std::size(fields);
  head.length = Length::absent;
  const std::string begin = "HTTP/1.1 426 Upgrade Required\r\nUPGRADE: TLS/1.2\r\nConnection: ";
  CHECK(encoded(head) == begin + "upgrade\r\n\r\n");
  head.keep_alive = false;
  CHECK(encoded(head) == begin + "close, upgrade\r\n\r\n");
  head.minor = 0;
  CHECK(encoded(head) == begin + "upgrade\r\n\r\n");
  head.keep_alive = true;
  CHECK(encoded(head) == begin + "keep-alive, upgrade\r\n\r\n");
}

TEST_CASE("response: an application's Content-Length is a number, once") {
  const auto length_of = [](std::initializer_list<std::string_view> values) {
    std::vector<Field> fields{field("X", "7")};
    for (const std::string_view value : values) fields.push_back(field("content-LENGTH", value));
    return content_length_of(fields.data(), fields.size());
  };
  CHECK(length_of({}) == content_length_none);
  CHECK(length_of({"0"}) == 0);
  CHECK(length_of({"0012"}) == 12);
  CHECK(length_of({"999999999999999999"}) == 999999999999999999);
  CHECK(length_of({"5", "5"}) == 5);
  for (const std::string_view bad : {"", " 5", "5 ", "+5", "-5", "0x5", "5,5", "1000000000000000000"}) {
    CAPTURE(bad);
    CHECK(length_of({bad}) == content_length_bad);
  }
  CHECK(length_of({"5", "6"}) == content_length_bad);
  CHECK(length_of({"5", "x"}) == content_length_bad);
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

TEST_CASE("response: a gateway gets the status in its own form, and nothing of the connection") {
  const Field fields[] = {field("Content-Type", "text/plain"), field("Connection", "close"), field("Status", "x")};
  ResponseHead head;
  head.fields = fields;
  head.field_count = std::size(fields);
  head.content_length = 13;
  head.keep_alive = false;
  head.minor = 0;
  const auto in_form = [&](auto encode) {
    std::vector<char> room(response_head_bound(head));
    const std::size_t size = encode(head, room.data());
    CHECK(size <= room.size());
    return std::string(room.data(), size);
  };
  const std::string rest = "Content-Type: text/plain\r\nStatus: x\r\n";
  CHECK(in_form(encode_cgi_head) == "Status: 200 OK\r\n" + rest + "Content-Length: 13\r\n\r\n");
  CHECK(in_form(encode_uwsgi_head) == "HTTP/1.1 200 OK\r\n" + rest + "Content-Length: 13\r\n\r\n");
  head.status = 431;  // the longest of the usual phrases
  head.length = Length::chunked;
  CHECK(in_form(encode_cgi_head) == "Status: 431 Request Header Fields Too Large\r\n" + rest + "\r\n");
  head.length = Length::until_close;
  head.reason = "Because";
  CHECK(in_form(encode_cgi_head) == "Status: 431 Because\r\n" + rest + "\r\n");
  CHECK(in_form(encode_uwsgi_head) == "HTTP/1.1 431 Because\r\n" + rest + "\r\n");
}
