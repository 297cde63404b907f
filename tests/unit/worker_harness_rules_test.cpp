// What may go on the wire is written down twice: in protocol/, and in the test harness for plugin authors, which needs
// nothing of the server. Here the two are the same.
#include <doctest/doctest.h>

#include <narwhal/testing/wire.hpp>
#include <string>
#include <vector>

#include "protocol/http1_response.hpp"
#include "protocol/http1_trailers.hpp"

using namespace narwhal;

namespace {

std::string text_of(const char* text) { return text == nullptr ? "fine" : text; }

// Both verdicts on one field.
struct Verdicts {
  Verdicts(std::string_view name, std::string_view value)
      : ours{name, value}, theirs{bytes_of(name), bytes_of(value)} {}
  Field ours;
  narwhal_field theirs;
};

const std::vector<std::string> names = {"accept",
                                        "age",
                                        "authorization",
                                        "cache-control",
                                        "connection",
                                        "content-encoding",
                                        "content-length",
                                        "content-range",
                                        "content-type",
                                        "cookie",
                                        "date",
                                        "expect",
                                        "expires",
                                        "host",
                                        "if-match",
                                        "if-modified-since",
                                        "if-none-match",
                                        "if-range",
                                        "if-unmodified-since",
                                        "keep-alive",
                                        "link",
                                        "location",
                                        "max-forwards",
                                        "pragma",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "proxy-connection",
                                        "range",
                                        "retry-after",
                                        "server",
                                        "set-cookie",
                                        "te",
                                        "trailer",
                                        "transfer-encoding",
                                        "upgrade",
                                        "vary",
                                        "via",
                                        "warning",
                                        "www-authenticate",
                                        "x-sum"};

}  // namespace

TEST_CASE("harness rules: every byte in a name, a value and a reason phrase") {
  for (int byte = 0; byte < 256; ++byte) {
    CAPTURE(byte);
    const std::string text = std::string("a") + static_cast<char>(byte) + "b";
    const Verdicts in_name(text, "v"), in_value("n", text);
    CHECK(text_of(testing::detail::check_fields(&in_name.theirs, 1).text) ==
          text_of(protocol::check_fields(&in_name.ours, 1).text));
    CHECK(text_of(testing::detail::check_fields(&in_value.theirs, 1).text) ==
          text_of(protocol::check_fields(&in_value.ours, 1).text));
    CHECK(testing::detail::is_field_value(text) == !protocol::check_reason(text));
  }
  const Verdicts empty("", "v");
  CHECK(text_of(testing::detail::check_fields(&empty.theirs, 1).text) ==
        text_of(protocol::check_fields(&empty.ours, 1).text));
}

TEST_CASE("harness rules: every status, and the phrase that fail() sends") {
  for (int status = -1; status < 700; ++status) {
    CAPTURE(status);
    CHECK(text_of(testing::detail::check_response(status, nullptr, 0).text) ==
          text_of(protocol::check_response(status, nullptr, 0).text));
    CHECK(text_of(testing::detail::check_interim(status, nullptr, 0).text) ==
          text_of(protocol::check_interim(status, nullptr, 0).text));
    if (status >= 400 && status < 600) CHECK(testing::detail::error_phrase(status) == protocol::reason_phrase(status));
  }
}

TEST_CASE("harness rules: the names that the host writes, and those that may not be trailers") {
  for (std::string name : names) {
    CAPTURE(name);
    for (int round = 0; round < 2; ++round) {
      const Verdicts field(name, "v");
      CHECK(testing::detail::is_host_field(name) == protocol::is_host_field(name));
      CHECK(text_of(testing::detail::check_trailers(&field.theirs, 1).text) ==
            text_of(protocol::check_trailers(&field.ours, 1).text));
      name[0] = static_cast<char>(name[0] - 'a' + 'A');
    }
  }
}

TEST_CASE("harness rules: what a Content-Length says, and whether a client takes trailers") {
  const std::vector<std::vector<std::string>> lengths = {{},
                                                         {"0"},
                                                         {"12"},
                                                         {"-1"},
                                                         {"+1"},
                                                         {"1 "},
                                                         {""},
                                                         {"1,1"},
                                                         {"7", "7"},
                                                         {"7", "8"},
                                                         {"123456789012345678"},
                                                         {"1234567890123456789"}};
  for (const auto& values : lengths) {
    std::vector<Field> ours;
    std::vector<narwhal_field> theirs;
    for (const std::string& value : values) {
      ours.push_back({std::string_view("Content-Length"), std::string_view(value)});
      theirs.push_back({NARWHAL_LITERAL("Content-Length"), bytes_of(value)});
    }
    CHECK(testing::detail::content_length_of(theirs.data(), static_cast<std::uint32_t>(theirs.size())) ==
          protocol::content_length_of(ours.data(), ours.size()));
  }
  for (const std::string value : {"trailers", "deflate, Trailers", "trailers;q=1", " ,\ttrailers\t,", "trailer", ""}) {
    const Verdicts field("TE", value);
    CHECK(testing::detail::lists(&field.theirs, 1, "te", "trailers") == protocol::takes_trailers(&field.ours, 1));
  }
}
