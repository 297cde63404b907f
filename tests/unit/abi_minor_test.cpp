// What the C++ face does with a host of this minor version, and with one that is older.
#include <doctest/doctest.h>

#include <cstddef>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

// The host says that its table ends where that of minor 0 did.
struct OlderHost {
  OlderHost() { fake::host.struct_size = offsetof(narwhal_host, inform); }
  ~OlderHost() { fake::host.struct_size = sizeof(narwhal_host); }
};

Response informs_and_streams(const Request& request) {
  const Headers hints = Headers().add("Link", "</a>").add("Link", "</b>");
  CHECK(inform(request, 103, hints) == Sent::ok);
  return Response::stream([](Writer& writer) {
           writer.write("body");
           writer.trailer("X-Sum", "7");
         })
      .header("Trailer", "X-Sum");
}

}  // namespace

TEST_CASE("minor 1: interim answers and trailers reach the host") {
  const Answer answer = ask(informs_and_streams, {});
  REQUIRE(answer.interim.size() == 1);
  CHECK(answer.interim[0] == std::pair{103, Pairs{{"Link", "</a>"}, {"Link", "</b>"}}});
  CHECK(answer.trailers == Pairs{{"X-Sum", "7"}});
  CHECK(answer.header("Trailer") == "X-Sum");
  CHECK((answer.status == 200 && answer.body == "body" && answer.complete));
}

TEST_CASE("minor 1: a host of minor 0 is not asked for what it lacks") {
  const OlderHost older;
  const Answer answer = ask(informs_and_streams, {});
  CHECK(answer.interim.empty());
  CHECK(answer.trailers.empty());
  CHECK((answer.status == 200 && answer.body == "body" && answer.complete));
}

TEST_CASE("minor 2: an app sets its mount's flags where the host knows how to") {
  narwhal_boot c_boot = fake::boot();
  fake::boot_flags.reset();
  CHECK(Boot(&c_boot).set_flags(NARWHAL_STREAM_BODY));
  CHECK(fake::boot_flags == NARWHAL_STREAM_BODY);
  c_boot.struct_size = offsetof(narwhal_boot, set_flags);
  fake::boot_flags.reset();
  CHECK_FALSE(Boot(&c_boot).set_flags(NARWHAL_INLINE));
  CHECK_FALSE(fake::boot_flags.has_value());
}

TEST_CASE("minor 1: what the host refuses is said, and the answer goes on") {
  const Answer answer = ask(
      [](const Request& request) {
        CHECK(inform(request, 100, Headers()) == Sent::refused);
        CHECK(inform(request, 103, Headers().add("Link", "a\r\nb: c")) == Sent::refused);
        return Response::text("all the same");
      },
      {});
  CHECK(answer.body == "all the same");
  const Answer cut = ask(
      [](const Request& request) {
        return Response::stream([request](Writer& writer) {
          writer.start();
          CHECK(inform(request, 103, Headers()) == Sent::state);
          writer.trailer("X", "a\nb");
        });
      },
      {});
  CHECK(cut.cut);
}

TEST_CASE("minor 1: a deferred exchange informs and ends with trailers") {
  const Answer answer = ask(
      [](const Request&) {
        return Response::deferred([](Deferred deferred) {
          CHECK(inform(deferred.request(), 102, Headers()) == Sent::ok);
          CHECK(deferred.trailer("X-Early", "1") == Sent::state);
          CHECK(deferred.start(Response()) == Sent::ok);
          CHECK(deferred.write("x") == Sent::ok);
          CHECK(deferred.trailer("X-Sum", "1") == Sent::ok);
          CHECK(deferred.finish() == Sent::ok);
        });
      },
      {});
  CHECK(answer.interim.size() == 1);
  CHECK(answer.trailers == Pairs{{"X-Sum", "1"}});
  CHECK(answer.complete);
}
