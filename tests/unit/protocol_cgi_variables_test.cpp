#include "protocol/cgi_variables.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>

#include "protocol/cgi_field_name.hpp"
#include "tests/wire/cgi_meaning.hpp"
#include "tests/wire/cgi_variables.hpp"
#include "tests/wire/exact_copy.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::ExactCopy;
using wire::get;
using wire::Pairs;

// Names and values one after the other in a block of just their size.
struct Decoded {
  explicit Decoded(const Pairs& pairs, const HeadLimits& limits = {}) : block(joined(pairs)) {
    CgiVariables variables(block.span(), limits, head, request);
    head.keep_alive = false;
    std::span<char> left = block.span();
    for (const auto& [name, value] : pairs) {
      const std::span<char> text = left.subspan(name.size(), value.size());
      refusal = variables.add(left.first(name.size()), {text.data(), text.size()});
      if (refusal) return;
      left = left.subspan(name.size() + value.size());
    }
    refusal = variables.finish();
  }
  static std::string joined(const Pairs& pairs) {
    std::string text;
    for (const auto& [name, value] : pairs) text += name + value;
    return text;
  }
  std::string meaning() const { return refusal ? wire::text_of(refusal) : wire::text_of(head, request); }
  bool in_block(std::string_view view) const {
    const std::string_view all = block.view();
    return view.data() >= all.data() && view.data() + view.size() <= all.data() + all.size();
  }

  ExactCopy block;
  Head head;
  CgiRequest request;
  Refusal refusal;
};

void check_rows(std::span<const wire::CgiRow> rows) {
  for (const wire::CgiRow& row : rows) {
    const std::string shown = Decoded::joined(row.variables);
    CAPTURE(shown);
    const Decoded decoded(row.variables);
    CHECK(decoded.meaning() == row.meaning);
    if (decoded.refusal) CHECK(decoded.head.fields.empty());
  }
}

Pairs many(std::size_t count, const std::string& prefix) {
  Pairs pairs = get({});
  for (std::size_t at = 0; at < count; ++at) pairs.emplace_back(prefix + std::to_string(at), "v");
  return pairs;
}

}  // namespace

TEST_CASE("CGI variables: they say what a request is") { check_rows(wire::cgi_ordinary); }

TEST_CASE("CGI variables: Host and scheme are those of the client, else those of the web server") {
  check_rows(wire::cgi_hosts_and_schemes);
}

TEST_CASE("CGI variables: HTTP_* are fields, and nothing in them can end a line") {
  check_rows(wire::cgi_fields);
  check_rows(wire::cgi_with_nul);
}

TEST_CASE("CGI variables: a body has the one length that CONTENT_LENGTH says") { check_rows(wire::cgi_lengths); }

TEST_CASE("CGI variables: SCRIPT_NAME is a prefix where the path begins with it; REMOTE_ADDR is the client") {
  check_rows(wire::cgi_prefixes_and_clients);
}

TEST_CASE("CGI variables: every byte is either fine in a field or refused") {
  for (int i = 0; i < 256; ++i) {
    CAPTURE(i);
    const std::string byte(1, static_cast<char>(i));
    const bool in_value = i == '\t' || (i >= 0x20 && i != 0x7f);
    for (const std::size_t padding : {0u, 3u, 15u, 16u, 40u}) {
      const std::string around(padding, 'A');
      CHECK(!Decoded(get({{"HTTP_X", around + byte + around}})).refusal == in_value);
      CHECK(!Decoded(get({{"HTTP_X", around + byte}, {"Z", "more bytes than sixteen"}})).refusal == in_value);
    }
    const bool token = i > 0x20 && i < 0x7f && std::string_view("\"(),/:;<=>?@[\\]{}").find(byte) == std::string::npos;
    for (const std::size_t padding : {0u, 3u, 16u, 40u}) {
      const std::string name = "HTTP_" + std::string(padding, 'A') + byte + std::string(padding, 'B');
      const Decoded at_end(get({{name, ""}})), inside(get({{name, "a value of many bytes"}}));
      CHECK(!at_end.refusal == token);
      CHECK(!inside.refusal == token);
      if (token) CHECK(at_end.head.fields.at(0).name.view() == inside.head.fields.at(0).name.view());
    }
    CHECK(!Decoded(get({{"A" + byte, ""}})).refusal == token);
    CHECK(!Decoded(get({{"NOT_MAPPED", byte}})).refusal == (i != 0));
  }
}

TEST_CASE("CGI variables: a field's name is the same whatever lies around it, and the same again changes nothing") {
  const std::string_view names[] = {"A",
                                    "ACCEPT_LANGUAGE",
                                    "X_FORWARDED_FOR",
                                    "SEC_WEBSOCKET_EXTENSIONS_AND_MORE_",
                                    "_X",
                                    "A__B",
                                    "X_9A_B9",
                                    "ABCDEFGHIJKLMNO_PQRSTUV",
                                    "ABCDEFGHIJKLMNOP_QRSTUV"};
  for (const std::string_view name : names) {
    std::string expected(name);
    for (std::size_t at = 0; at < expected.size(); ++at) {
      char& c = expected[at];
      if (c == '_') c = '-';
      if (at > 0 && expected[at - 1] != '-' && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    for (const std::size_t after : {0u, 1u, 15u, 16u, 40u}) {
      ExactCopy copy(std::string(name) + std::string(after, 'Q'));
      const std::span<char> bytes = copy.span();
      for (int time = 0; time < 2; ++time) {
        CHECK(to_field_name(bytes.data(), name.size(), bytes.data() + bytes.size()));
        CHECK(copy.view() == expected + std::string(after, 'Q'));
      }
    }
  }
}

TEST_CASE("CGI variables: those that HTTP does not have are found by name, and the last of a name counts") {
  const Decoded decoded(get({{"DOCUMENT_ROOT", "/var/www"},
                             {"GEO", "de"},
                             {"GEO", "at"},
                             {"EMPTY", ""},
                             {"REMOTE_USER", "ann"},
                             {"HTTP_X", "1"},
                             {"REMOTE_ADDR", "unix:"}}));
  CHECK(decoded.request.variable("DOCUMENT_ROOT").view() == "/var/www");
  CHECK(decoded.request.variable("GEO").view() == "at");
  CHECK(decoded.request.variable("REMOTE_USER").view() == "ann");
  CHECK(decoded.request.variable("REMOTE_ADDR").view() == "unix:");
  CHECK(decoded.request.variable("REQUEST_METHOD").view() == "GET");
  CHECK(decoded.request.variable("EMPTY").data != nullptr);
  CHECK(decoded.request.variable("EMPTY").size == 0);
  CHECK(decoded.request.variable("geo").data == nullptr);
  CHECK(decoded.request.variable("HTTP_X").data == nullptr);
  CHECK(decoded.request.variables.size() == 8);
}

TEST_CASE("CGI variables: nothing is copied that a view can be of") {
  const Decoded decoded(wire::nginx_fastcgi_get);
  for (const Bytes part :
       {decoded.head.method, decoded.head.target, decoded.head.path, decoded.head.query, decoded.head.authority}) {
    CHECK(decoded.in_block(part));
  }
  for (const Field& field : decoded.head.fields) {
    CHECK(decoded.in_block(field.name));
    CHECK(decoded.in_block(field.value));
  }
  CHECK(decoded.request.made.empty());
  CHECK(decoded.head.name_bits ==
        (Head::name_bit("host") | Head::name_bit("accept-language") | Head::name_bit("x-request-id")));
  CHECK_FALSE(decoded.head.has_underscore);
}

TEST_CASE("CGI variables: a Head and its lists can be used again") {
  const Decoded first(get({{"HTTP_X", "1"}, {"SCRIPT_NAME", "/"}, {"REMOTE_ADDR", "::1"}, {"CONTENT_LENGTH", "5"}}));
  Head head = first.head;
  CgiRequest request = first.request;
  request.prefix = std::string_view("/old");
  ExactCopy block("REQUEST_METHODHEADREQUEST_URI/");
  const HeadLimits limits;
  CgiVariables variables(block.span(), limits, head, request);
  const std::span<char> bytes = block.span();
  CHECK_FALSE(variables.add(bytes.first(14), block.view().substr(14, 4)));
  CHECK_FALSE(variables.add(bytes.subspan(18, 11), block.view().substr(29)));
  CHECK_FALSE(variables.finish());
  head.keep_alive = false;
  CHECK(wire::text_of(head, request) == "HEAD / 1.1 close none @");
  CHECK(head.is_head);
}

TEST_CASE("CGI variables: what is sound of a refused head is known") {
  const Decoded no_uri({{"REQUEST_METHOD", "HEAD"}, {"REQUEST_URI", "/a b"}});
  CHECK(no_uri.refusal.http_status == 400);
  CHECK(no_uri.head.is_head);
  CHECK(no_uri.head.method.size == 0);
  CHECK(no_uri.head.target.size == 0);
  const Decoded no_host({{"REQUEST_METHOD", "HEAD"}, {"REQUEST_URI", "/a"}, {"HTTP_HOST", "a b"}});
  CHECK(no_host.refusal.http_status == 400);
  CHECK(no_host.head.method.view() == "HEAD");
  CHECK(no_host.head.target.view() == "/a");
}

TEST_CASE("CGI variables: the limits are those of HTTP, and a thousand variables") {
  HeadLimits limits;
  limits.request_line = 100;
  const auto with_target = [](std::size_t size) {
    return Pairs{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/" + std::string(size - 1, 'a')}};
  };
  CHECK_FALSE(Decoded(with_target(87), limits).refusal);
  CHECK(Decoded(with_target(88), limits).meaning() == "414: request line too long");
  limits.request_line = 0;
  CHECK_FALSE(Decoded(with_target(100'000), limits).refusal);

  limits.field_size = 100;
  CHECK_FALSE(Decoded(get({{"HTTP_X", std::string(95, 'v')}}), limits).refusal);
  CHECK(Decoded(get({{"HTTP_X", std::string(96, 'v')}}), limits).meaning() == "431: field line too long");
  CHECK_FALSE(Decoded(get({{"SSL_CLIENT_CERT", std::string(5000, 'v')}}), limits).refusal);
  limits.field_size = 0;
  CHECK_FALSE(Decoded(get({{"HTTP_X", std::string(50'000, 'v')}}), limits).refusal);

  limits.fields = 3;
  CHECK_FALSE(Decoded(many(3, "HTTP_"), limits).refusal);
  CHECK(Decoded(many(4, "HTTP_"), limits).meaning() == "431: too many fields");
  CHECK_FALSE(Decoded(many(4, "V"), limits).refusal);
  limits.fields = 0;
  CHECK_FALSE(Decoded(many(998, "HTTP_"), limits).refusal);
  CHECK(Decoded(many(999, "HTTP_"), limits).meaning() == "431: too many variables");
  CHECK_FALSE(Decoded(many(998, "V"), limits).refusal);
  CHECK(Decoded(many(999, "V"), limits).meaning() == "431: too many variables");
}
