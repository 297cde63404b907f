#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "protocol/http1_chunks.hpp"
#include "protocol/http1_trailers.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;

Field field(std::string_view name, std::string_view value) { return {name, value}; }

bool taken_with(std::initializer_list<Field> fields) {
  const std::vector<Field> request(fields);
  return takes_trailers(request.data(), request.size());
}

}  // namespace

TEST_CASE("trailers: a client takes them when its TE says so, in any of its fields and cases") {
  CHECK_FALSE(taken_with({}));
  CHECK_FALSE(taken_with({field("X", "trailers")}));
  CHECK_FALSE(taken_with({field("TE", "")}));
  CHECK(taken_with({field("TE", "trailers")}));
  CHECK(taken_with({field("te", "TRAILERS")}));
  CHECK(taken_with({field("X", "y"), field("TE", "gzip;q=0.5,\t trailers\t")}));
  CHECK(taken_with({field("TE", "trailers,deflate")}));
  CHECK(taken_with({field("TE", "deflate"), field("TE", ",,trailers")}));
  for (const std::string_view other :
       {"trailer", "trailerss", "x-trailers", "trailers;q=0", "trailers x", "deflate", ","}) {
    CAPTURE(other);
    CHECK_FALSE(taken_with({field("TE", other)}));
  }
}

TEST_CASE("trailers: what must be known before the body may not come behind it") {
  for (const std::string_view name :
       {"Content-Length", "TRANSFER-encoding", "Connection", "Trailer", "te", "Host", "Authorization", "Cookie",
        "Set-Cookie", "Cache-Control", "If-None-Match", "Range", "Expect", "Age", "Date", "Vary", "Content-Type",
        "Content-Encoding", "Content-Range"}) {
    CAPTURE(name);
    const Field fields[] = {field("X-Fine", "1"), field(name, "1")};
    CHECK(check_trailers(fields, 2).field == &fields[1]);
    CHECK_FALSE(check_trailers(fields, 1));
  }
  for (const std::string_view name :
       {"ETag", "Server-Timing", "Digest", "X-Sum", "Authentication-Info", "Hosts", "Hos"}) {
    CAPTURE(name);
    const Field fields[] = {field(name, "1")};
    CHECK_FALSE(check_trailers(fields, 1));
  }
}

TEST_CASE("trailers: nothing that could forge a line is let through") {
  for (const Field& bad : {field("", "x"), field("X Y", "x"), field("X:", "x"), field("X", "a\rb"), field("X", "a\nb"),
                           field("X", std::string_view("a\0b", 3))}) {
    CHECK(check_trailers(&bad, 1));
  }
}

TEST_CASE("trailers: they are written as lines, and our own decoder takes them") {
  const Field fields[] = {field("X-Sum", "7"), field("X-Empty", "")};
  std::vector<char> room(trailers_bound(fields, 2));
  const std::size_t size = encode_trailers(fields, 2, room.data());
  REQUIRE(size == room.size());
  const std::string lines(room.data(), size);
  CHECK(lines == "X-Sum: 7\r\nX-Empty: \r\n");
  ChunkDecoder decoder;
  CHECK(decoder.feed("0\r\n" + lines + "\r\n").status == Status::complete);
  CHECK(encode_trailers(nullptr, 0, nullptr) == 0);
}
