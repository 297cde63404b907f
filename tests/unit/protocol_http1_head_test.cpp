#include <doctest/doctest.h>

#include <span>
#include <string>

#include "protocol/http1_head.hpp"
#include "protocol/request_rules.hpp"
#include "tests/wire/exact_copy.hpp"
#include "tests/wire/head_witness.hpp"
#include "tests/wire/http1_heads.hpp"
#include "tests/wire/meaning.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::ExactCopy;
using wire::meaning_of;

std::string meaning_at_once(std::string_view bytes, const HeadLimits& limits = {}) {
  const ExactCopy copy(bytes);
  Head head;
  const HeadFed fed = decode_head(copy.view(), 0, limits, head);
  return meaning_of(fed, head) + (fed.status == Status::complete ? " #" + std::to_string(fed.consumed) : "");
}

// The bytes arrive up to `first`, then `step` more at a time; each time in another block, as a buffer that grows moves.
std::string meaning_in_pieces(std::string_view bytes, std::size_t first, std::size_t step,
                              const HeadLimits& limits = {}) {
  Head head;
  HeadFed fed;
  for (std::size_t arrived = first;; arrived += step) {
    const ExactCopy copy(bytes.substr(0, arrived));
    fed = decode_head(copy.view(), fed.scanned, limits, head);
    const bool over = fed.status != Status::need_more || arrived >= bytes.size();
    if (over)
      return meaning_of(fed, head) + (fed.status == Status::complete ? " #" + std::to_string(fed.consumed) : "");
    CHECK(fed.scanned <= copy.view().size());
  }
}

bool same_place(std::string_view one, std::string_view other) {
  return one.data() == other.data() && one.size() == other.size();
}

// What is accepted is cut by llhttp, whichever release it is, in the same places as by hand.
void check_witness(std::string_view bytes) {
  Head head;
  if (decode_head(bytes, 0, {}, head).status != Status::complete) return;
  while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  const auto plain = wire::cut_by_hand(bytes);
  REQUIRE(plain);
  CHECK(same_place(head.method, plain->method));
  CHECK(same_place(head.target, plain->target));
  CHECK(plain->version == "1." + std::to_string(head.minor));
  REQUIRE(head.fields.size() == plain->fields.size());
  for (std::size_t i = 0; i < head.fields.size(); ++i) {
    CHECK(same_place(head.fields[i].name, plain->fields[i].first));
    CHECK(same_place(head.fields[i].value, plain->fields[i].second));
  }
}

void check_rows(std::span<const wire::Row> rows) {
  for (const wire::Row& row : rows) {
    const std::string bytes(row.bytes);
    CAPTURE(bytes);
    check_witness(row.bytes);
    const std::string meaning = meaning_at_once(row.bytes);
    CHECK(meaning.substr(0, meaning.rfind(" #")) == row.meaning);
    CHECK(meaning_in_pieces(row.bytes, 0, 1) == meaning);
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
      CAPTURE(cut);
      CHECK(meaning_in_pieces(row.bytes, cut, row.bytes.size() - cut) == meaning);
    }
  }
}

std::string head_with_fields(std::size_t count) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (std::size_t i = 1; i < count; ++i) text += "X: y\r\n";
  return text + "\r\n";
}

std::string head_with_field_line(std::size_t bytes) {
  return "GET / HTTP/1.1\r\nHost: a\r\nX:" + std::string(bytes - 4, 'y') + "\r\n\r\n";
}

std::string head_with_request_line(std::size_t bytes) {
  return "GET /" + std::string(bytes - 14, 'y') + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

}  // namespace

TEST_CASE("heads: ordinary ones mean what they say, wherever the network cuts them") {
  check_rows(wire::ordinary_heads);
}

TEST_CASE("heads: each form of target has its methods; a method need not be a known one") {
  check_rows(wire::methods_and_targets);
}

TEST_CASE("heads: Host is there once and well formed; Connection and Expect are lists") {
  check_rows(wire::hosts_and_connections);
}

TEST_CASE("heads: a body has one length or none, and ambiguity is refused") { check_rows(wire::framings); }

TEST_CASE("heads: bytes that could end a line elsewhere are refused") { check_rows(wire::bytes_no_head_holds); }

TEST_CASE("heads: what some release of llhttp gets wrong is right") { check_rows(wire::llhttp_gets_wrong); }

bool is_copied(std::string_view bytes) {
  const ExactCopy copy(bytes);
  Head head;
  const HeadFed fed = decode_head(copy.view(), 0, {}, head);
  REQUIRE(fed.status == Status::complete);
  return fed.copied;
}

TEST_CASE("heads: llhttp takes an ordinary one as it is, without a copy") {
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}) {
    CAPTURE(method);
    CHECK_FALSE(is_copied(std::string(method) + " /a?b=%20c HTTP/1.1\r\nHost: a\r\n\r\n"));
  }
  for (const char* target : {"/<>\"{}|\\^`[]%zz", "*", "http://b", "https://[::1]:80/x?y", "http://b?c"}) {
    CAPTURE(target);
    CHECK_FALSE(is_copied("\r\nOPTIONS " + std::string(target) + " HTTP/1.0\r\n\r\n"));
  }
  for (const char* fields :
       {"", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: keep-alive\r\n",
        "Connection: close\r\n", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
        "Expect: 100-continue\r\nContent-Length: 1\r\n", "X: a\tb\t\r\nY:\tz\r\nZ:\r\n",
        "User-Agent: \xc3\xa9\r\nCookie: a=\"b\"; c_d=e\r\n"}) {
    CAPTURE(fields);
    CHECK_FALSE(is_copied(std::string("POST / HTTP/1.1\r\nHost: a\r\n") + fields + "\r\n"));
  }
}

TEST_CASE("heads: what llhttp refuses and the RFC allows goes to it in a copy, and every view is of the original") {
  constexpr std::string_view unknown_method = "BREW http://b/?c HTTP/1.1\r\nHost: \ta \r\nX:\r\nY: z\r\n\r\n";
  CHECK(is_copied(unknown_method));
  check_witness(unknown_method);
  // Which of these need one depends on the release of llhttp.
  for (const char* fields :
       {"Content-Length:\t5\t\r\n", "Transfer-Encoding: chunked\t\r\n", "Connection: close\t\r\n"}) {
    CAPTURE(fields);
    check_witness(std::string("POST /a HTTP/1.1\r\nHost: a\r\n") + fields + "\r\n");
  }
}

TEST_CASE("heads: every byte is either fine at its place or refused") {
  for (int i = 0; i < 256; ++i) {
    const std::string byte(1, static_cast<char>(i));
    CAPTURE(i);
    const bool control = i < 0x20 || i == 0x7f;
    const bool in_value = !control || i == '\t';
    CHECK((meaning_at_once("GET / HTTP/1.1\r\nHost: a\r\nX: a" + byte + "b\r\n\r\n").starts_with("GET")) == in_value);
    const std::string padding(40, 'p');  // long enough for code that takes sixteen bytes at a time
    const std::string padded = padding + byte + padding;
    CHECK((meaning_at_once("GET / HTTP/1.1\r\nHost: a\r\nX: " + padded + "\r\n\r\n").starts_with("GET")) == in_value);
    const bool in_target = !control && i != ' ';
    CHECK((meaning_at_once("GET /" + byte + " HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("GET")) == in_target);
    CHECK((meaning_at_once("GET /?" + byte + " HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("GET")) == in_target);
    const bool token = in_target && i < 0x80 && i != '#' &&
                       std::string_view("\"(),/:;<=>?@[\\]{}").find(byte) == std::string_view::npos;
    const bool in_name = token || i == '#' || i == ':';  // with ':' it is another name, and a value
    CHECK((meaning_at_once("GET / HTTP/1.1\r\nHost: a\r\nX" + byte + "Y: a\r\n\r\n").starts_with("GET")) == in_name);
    CHECK((meaning_at_once("GET / HTTP/1.1\r\nHost: a\r\n" + padded + ": a\r\n\r\n").starts_with("GET")) == in_name);
    const bool in_method = (token || i == '#') && !(i >= 'a' && i <= 'z');
    CHECK((meaning_at_once("X" + byte + "Y / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("X")) == in_method);
  }
}

TEST_CASE("heads: a short Host is judged as a long one is, whatever byte is where") {
  for (const std::string host :
       {"", "a", "a:", ":80", "a:b", "a:8:8", "127.0.0.1:8000", "www.example.org", "a-b.c:65535", "0123456789abcdef",
        "0123456789abcde:1", "www.example.org:443", "[::1]:80", "a%2Eb"}) {
    for (std::size_t at = 0; at <= host.size(); ++at) {
      for (int byte = 0x21; byte < 256; ++byte) {
        std::string changed = host;
        if (at < host.size()) changed[at] = static_cast<char>(byte);
        if (byte == 0x7f) continue;
        CAPTURE(changed);
        const std::string meaning = meaning_at_once("A / HTTP/1.1\r\nHost:" + changed + "\r\n\r\n");
        CHECK((meaning != "400") == is_authority(changed));
      }
    }
  }
}

TEST_CASE("heads: the request line may be as long as its limit and no longer") {
  HeadLimits limits;
  limits.request_line = 100;
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    CHECK(meaning_in_pieces(head_with_request_line(100), step, step, limits).starts_with("GET"));
    CHECK(meaning_in_pieces(head_with_request_line(101), step, step, limits) == "414");
  }
  CHECK(meaning_at_once(std::string(101, 'A'), limits) == "414");  // no need to wait for its end
  CHECK(meaning_at_once(std::string(100, 'A'), limits) == "more");
  limits.request_line = 0;
  CHECK(meaning_at_once(head_with_request_line(500'000), limits).starts_with("GET"));
  CHECK(meaning_at_once(head_with_request_line(1024 * 1024), limits).starts_with("GET"));
  CHECK(meaning_at_once(head_with_request_line(1024 * 1024 + 1), limits) == "414");
  CHECK(meaning_at_once(std::string(1024 * 1024, 'A'), limits) == "more");
  CHECK(meaning_at_once(std::string(1024 * 1024 + 1, 'A'), limits) == "414");
}

TEST_CASE("heads: a field line may be as long as its limit and no longer") {
  HeadLimits limits;
  limits.field_size = 100;
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    CHECK(meaning_in_pieces(head_with_field_line(100), step, step, limits).starts_with("GET"));
    CHECK(meaning_in_pieces(head_with_field_line(101), step, step, limits) == "431");
  }
  CHECK(meaning_at_once("GET / HTTP/1.1\r\nX" + std::string(97, 'y'), limits) == "more");
  CHECK(meaning_at_once("GET / HTTP/1.1\r\nX" + std::string(98, 'y'), limits) == "431");
  CHECK(meaning_at_once("GET / HTTP/1.1\r\nX" + std::string(98, 'y') + "\x01", limits) == "431");
  CHECK(meaning_at_once("GET / HTTP/1.1\r\nX" + std::string(97, 'y') + "\x01", limits) == "400");
  limits.field_size = 1;
  CHECK(meaning_at_once("GET / HTTP/1.1\r\nHost: a\r\n\r\n", limits) == "431");
  limits.field_size = 0;
  CHECK(meaning_at_once(head_with_field_line(500'000), limits).starts_with("GET"));
}

TEST_CASE("heads: there may be as many fields as the limit and no more") {
  HeadLimits limits;
  limits.fields = 10;
  CHECK(meaning_at_once(head_with_fields(10), limits).starts_with("GET"));
  CHECK(meaning_at_once(head_with_fields(11), limits) == "431");
  CHECK(meaning_in_pieces(head_with_fields(11), 1, 1, limits) == "431");
  for (const std::size_t unlimited : {std::size_t{0}, std::size_t{40'000}, SIZE_MAX}) {
    limits.fields = unlimited;
    CHECK(meaning_at_once(head_with_fields(32'768), limits).starts_with("GET"));
    CHECK(meaning_at_once(head_with_fields(32'769), limits) == "431");
  }
}

TEST_CASE("heads: no head is longer than head_bytes_max says") {
  HeadLimits limits;
  limits.request_line = 20;
  limits.fields = 2;
  limits.field_size = 20;
  const std::string fitting = "\r\n\r\nGET /345678 HTTP/1.1\r\nHost:6789012345678\r\nX:3456789012345678\r\n\r\n";
  CHECK(fitting.size() == head_bytes_max(limits));
  CHECK(meaning_at_once(fitting, limits).starts_with("GET"));
  const std::string endless = "GET / HTTP/1.1\r\n" + std::string(10000, 'x');
  CHECK(meaning_in_pieces(endless, 1, 1, limits) == "431");
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  while (many.size() <= head_bytes_max(limits)) many += "X:\r\n";
  CHECK(meaning_in_pieces(many, 1, 1, limits) == "431");
  CHECK(meaning_at_once(many, limits) == "431");
  CHECK(head_bytes_max(HeadLimits{}) == 4094 + 100 * 8190 + 8);
  constexpr std::size_t most = 2 * 1024 * 1024 + 8;
  CHECK(head_bytes_max(HeadLimits{0, 0, 0}) == most);
  CHECK(head_bytes_max(HeadLimits{SIZE_MAX, 32'768, 8190}) == most);
  CHECK(head_bytes_max(HeadLimits{1, SIZE_MAX, SIZE_MAX}) < most);
}

// "METHOD target path 1.minor", with "HEAD!" before it when there is to be no body; "-" when nothing is known.
std::string known_line(std::string_view bytes) {
  const ExactCopy copy(bytes);
  Head head;
  REQUIRE(decode_head("PUT http://b/x?y HTTP/1.0\r\nContent-Length: 3\r\n\r\n", 0, {}, head).status ==
          Status::complete);
  decode_request_line(copy.view(), head);
  CHECK(head.fields.empty());
  CHECK(head.content_length == 0);
  if (head.method.size == 0) {
    for (const Bytes part : {head.target, head.path, head.query, head.authority, head.scheme}) CHECK(part.size == 0);
    return head.is_head ? "HEAD!-" : "-";
  }
  return std::string(head.is_head ? "HEAD!" : "") + std::string(head.method.view()) + " " +
         std::string(head.target.view()) + " " + std::string(head.path.view()) + " 1." + std::to_string(head.minor);
}

TEST_CASE("heads: of a refused or unfinished one the request line is known, where that is sound") {
  CHECK(known_line("GET /a?b HTTP/1.1\r\n") == "GET /a?b /a 1.1");
  CHECK(known_line("\r\nHEAD / HTTP/1.0\r\nX") == "HEAD!HEAD / / 1.0");
  CHECK(known_line("GET / HTTP/1.1\r\nHost: a\nb") == "GET / / 1.1");
  CHECK(known_line("get / HTTP/1.1\r\n") == "get / / 1.1");
  CHECK(known_line("CONNECT a:443 HTTP/1.1\r\n") == "CONNECT a:443 a:443 1.1");
  for (const char* nothing :
       {"", "\r\n", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/2.0\r\n", "GET /\r\n", "GET * HTTP/1.1\r\n",
        "GET /\x01 HTTP/1.1\r\n", "GET /a\nb HTTP/1.1\r\n", "\r\n\r\n\r\n"}) {
    CAPTURE(nothing);
    CHECK(known_line(nothing) == "-");
  }
  for (const char* head : {"HEAD /a\x7f HTTP/1.1\r\n", "HEAD /", "HEAD / HTTP/2.0\r\n"})
    CHECK(known_line(head) == "HEAD!-");
}

TEST_CASE("heads: every view points into the bytes given") {
  const ExactCopy copy("BREW /a?b HTTP/1.1\r\nHost:\ta\r\nX:\r\n\r\n");
  Head head;
  REQUIRE(decode_head(copy.view(), 0, {}, head).status == Status::complete);
  const auto inside = [&](Bytes view) {
    return view.data >= copy.view().data() && view.data + view.size <= copy.view().data() + copy.view().size();
  };
  for (const Bytes view : {head.method, head.target, head.path, head.query, head.authority}) CHECK(inside(view));
  REQUIRE(head.fields.size() == 2);
  for (const Field& field : head.fields) {
    CHECK(inside(field.name));
    CHECK(inside(field.value));
  }
}

TEST_CASE("heads: one Head serves many requests and keeps nothing of the last") {
  Head head;
  const std::string first =
      "POST http://b/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n"
      "Connection: close\r\n\r\n";
  REQUIRE(decode_head(first, 0, {}, head).status == Status::complete);
  CHECK(head.scheme.view() == "http");
  const std::string second = "GET / HTTP/1.1\r\nHost: c\r\n\r\n";
  REQUIRE(decode_head(second, 0, {}, head).status == Status::complete);
  CHECK(wire::meaning_of({Status::complete, 0, 0, 0, ""}, head) == "GET / 1.1 keep none @c | Host: c");
  CHECK(head.scheme.data == nullptr);
  CHECK(head.content_length == 0);
}

TEST_CASE("heads: a field is found whatever its case, the first of its name, and absence is null") {
  Head head;
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX-Y: 1\r\nx-y: 2\r\nEmpty:\r\n\r\n";
  REQUIRE(decode_head(bytes, 0, {}, head).status == Status::complete);
  CHECK(head.field("x-Y").view() == "1");
  CHECK(head.field("empty").data != nullptr);
  CHECK(head.field("empty").size == 0);
  CHECK(head.field("x").data == nullptr);
}

TEST_CASE("head: which kinds of names its fields have, and whether one has an underscore, is known") {
  const auto decode = [](const std::string& fields) {
    Head head;
    head.has_underscore = true;
    const std::string bytes = "GET /a_b HTTP/1.1\r\nHost: a_b\r\n" + fields + "\r\n";
    REQUIRE(decode_head(bytes, 0, {}, head).status == Status::complete);
    return head;
  };
  constexpr std::uint64_t host = Head::name_bit("host");
  CHECK(decode("").name_bits == host);
  CHECK(decode("Accept: */*\r\n").name_bits == (host | Head::name_bit("aCCEPT")));
  const std::uint64_t forwarded = decode("X-Forwarded-For: 1\r\nAccept: */*\r\n").name_bits;
  CHECK(forwarded == (host | Head::name_bit("accept") | Head::name_bit("x-forwarded-for")));
  for (const char* usual : {"Host", "Accept", "Accept-Encoding", "Accept-Language", "Cookie", "User-Agent"}) {
    CHECK((Head::name_bit(usual) & (Head::name_bit("X-Forwarded-For") | Head::name_bit("Forwarded"))) == 0);
  }
  CHECK(Head::name_bit("") == 0);
  for (const char* name : {"a-b", "a.b", "X1", "a", "a-very-long-name-indeed-much-longer-than-sixteen-bytes"}) {
    CAPTURE(name);
    CHECK_FALSE(decode(std::string(name) + ": a_b\r\n").has_underscore);
  }
  for (const char* name : {"_", "a_b", "_a", "a_", "1_", "a-very-long-name-indeed_much-longer-than-sixteen-bytes",
                           "sixteen-bytes-ab_c", "fifteen-bytes_a"}) {
    for (const char* after : {"", "Accept: */*\r\n", "X-Padding: ppppppppppppppppppppppppppppppppppppp\r\n"}) {
      CAPTURE(name);
      CHECK(decode(std::string(name) + ":\r\n" + after).has_underscore);
      CHECK(decode(std::string(after) + name + ": 1\r\n").has_underscore);
    }
  }
}
