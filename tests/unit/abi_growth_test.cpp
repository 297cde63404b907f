// What app.hpp does with a host of this minor version, of an older one (its structs end earlier), and of a newer one.
#include <doctest/doctest.h>

#include <cstddef>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

// For its lifetime, the host states this size for its table.
struct HostOfSize {
  explicit HostOfSize(std::size_t size) { fake::host.struct_size = size; }
  ~HostOfSize() { fake::host.struct_size = sizeof(narwhal_host); }
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

TEST_CASE("growth: interim answers and trailers reach a host that has them") {
  const Answer answer = ask(informs_and_streams, {});
  REQUIRE(answer.interim.size() == 1);
  CHECK(answer.interim[0] == std::pair{103, Pairs{{"Link", "</a>"}, {"Link", "</b>"}}});
  CHECK(answer.trailers == Pairs{{"X-Sum", "7"}});
  CHECK(answer.header("Trailer") == "X-Sum");
  CHECK((answer.status == 200 && answer.body == "body" && answer.complete));
}

TEST_CASE("growth: a host whose table ends earlier is not asked for what it lacks") {
  const HostOfSize older(offsetof(narwhal_host, inform));
  const Answer answer = ask(informs_and_streams, {});
  CHECK(answer.interim.empty());
  CHECK(answer.trailers.empty());
  CHECK((answer.status == 200 && answer.body == "body" && answer.complete));
}

TEST_CASE("growth: a host whose table is longer is used as far as it is known") {
  const HostOfSize newer(sizeof(narwhal_host) + 64);
  const Answer answer = ask(informs_and_streams, {});
  CHECK(answer.interim.size() == 1);
  CHECK(answer.trailers == Pairs{{"X-Sum", "7"}});
  CHECK((answer.status == 200 && answer.body == "body" && answer.complete));
}

TEST_CASE("growth: an app sets its mount's flags where the host has set_flags, and else keeps them") {
  narwhal_boot c_boot = fake::boot();
  fake::boot_flags.reset();
  CHECK(Boot(&c_boot).set_flags(NARWHAL_STREAM_BODY));
  CHECK(fake::boot_flags == NARWHAL_STREAM_BODY);
  c_boot.struct_size = offsetof(narwhal_boot, set_flags);
  fake::boot_flags.reset();
  CHECK_FALSE(Boot(&c_boot).set_flags(NARWHAL_INLINE));
  CHECK_FALSE(fake::boot_flags.has_value());
}

TEST_CASE("inform: what the host refuses is reported, and the answer goes on") {
  const Answer answer = ask(
      [](const Request& request) {
        CHECK(inform(request, 100, Headers()) == Sent::refused);
        CHECK(inform(request, 103, Headers().add("Link", "a\r\nb: c")) == Sent::refused);
        return Response::text("all the same");
      },
      {.breaks = true});
  CHECK(answer.body == "all the same");
  const Answer cut = ask(
      [](const Request& request) {
        return Response::stream([request](Writer& writer) {
          writer.start();
          CHECK(inform(request, 103, Headers()) == Sent::state);
          writer.trailer("X", "a\nb");
        });
      },
      {.breaks = true});
  CHECK(cut.cut);
}

TEST_CASE("inform: a deferred exchange may inform, and end with trailers") {
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
      {.breaks = true});
  CHECK(answer.interim.size() == 1);
  CHECK(answer.trailers == Pairs{{"X-Sum", "1"}});
  CHECK(answer.complete);
}
