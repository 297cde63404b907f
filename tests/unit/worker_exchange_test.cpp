// Exchange::reset(): nothing of one client's request may be left in the next one's.
#include "worker/exchange.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/worker_idle_loop.hpp"

using namespace narwhal;
using namespace narwhal::worker;

namespace {

using Image = std::array<unsigned char, sizeof(Exchange)>;
using Use = std::function<void(Exchange&)>;

// As the loop does it.
void give_back(Exchange& exchange) {
  auto posted = idle_loop().posts().take();
  while (Exchange* const one = posted.take()) one->posted = false;
  if (exchange.response.bytes().has_buffer()) idle_loop().buffers().drop(exchange.response.bytes().take_buffer());
  exchange.reset();
}

// Exchanges that are made one after another in the same memory, so that they can be compared byte by byte.
class Place {
 public:
  // What an exchange looks like that was made where each byte was `before`, used and reset.
  Image image(unsigned char before, const Use& use) {
    std::memset(memory_, before, sizeof memory_);
    auto* const exchange = ::new (memory_) Exchange(idle_loop());
    if (use) {
      use(*exchange);
      give_back(*exchange);
    }
    note_kept(*exchange);
    Image copy;
    std::memcpy(copy.data(), memory_, sizeof memory_);
    exchange->~Exchange();
    return copy;
  }
  // A member that keeps memory from one request to the next, or whose bytes have no meaning before they are written.
  bool is_kept(std::size_t at) const {
    for (const auto& [begin, end] : kept_) {
      if (at >= begin && at < end) return true;
    }
    return false;
  }

 private:
  template <typename Member>
  void note(const Member& member) {
    const auto begin = static_cast<std::size_t>(reinterpret_cast<const unsigned char*>(&member) - memory_);
    kept_.emplace_back(begin, begin + sizeof member);
  }
  void note_kept(Exchange& exchange) {
    kept_.clear();
    note(exchange.head);       // decode_head() gives each member a value of its own, and has a test for that
    note(exchange.request());  // fill_request() names each member
    note(exchange.body);
    note(exchange.inbox);
    note(exchange.handover);
    note(exchange.response.bytes());
    note(exchange.life);         // by which a handle of an earlier use is recognised
    note(exchange.next_posted);  // means nothing outside Loop's queue
  }

  alignas(Exchange) unsigned char memory_[sizeof(Exchange)];
  std::vector<std::pair<std::size_t, std::size_t>> kept_;
};

// Calls `handle` as the loop would, for a request that this text is.
Use request(std::string text, std::function<int(narwhal_exchange*)> handle, std::uint32_t flags = 0) {
  return [text = std::move(text), handle = std::move(handle), flags](Exchange& exchange) {
    Mount mount;
    mount.plugin = {};
    mount.plugin.flags = flags;
    mount.instance = const_cast<std::function<int(narwhal_exchange*)>*>(&handle);
    mount.plugin.handle = [](void* instance, narwhal_exchange* handle_of_it) {
      return (*static_cast<std::function<int(narwhal_exchange*)>*>(instance))(handle_of_it);
    };
    REQUIRE(protocol::decode_head(text, 0, {0, 0, 0}, exchange.head).status == protocol::Status::complete);
    exchange.mount = &mount;
    exchange.started = exchange.times.called = narwhal::now();
    exchange.fill_request();
    const int result = exchange.run(0);
    exchange.times.returned = narwhal::now();
    exchange.returned = true;
    exchange.response.end_for_handler(result);
  };
}

narwhal_bytes bytes(std::string_view text) { return {text.data(), text.size()}; }

int start(narwhal_exchange* handle, std::int64_t body_size) {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = 200;
  response.body_size = body_size;
  return host_table.start(handle, &response);
}

const std::string get = "GET /a?b HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n";

const Use uses[] = {
    request(get,
            [](narwhal_exchange* handle) {
              const narwhal_field field{bytes("X-Sum"), bytes("1234567890")};
              host_table.inform(handle, 103, &field, 1);
              start(handle, -1);
              host_table.set_user(handle, handle);
              host_table.write(handle, bytes("part"), 0);
              host_table.trailers(handle, &field, 1);
              host_table.alloc(handle, 10'000);
              Exchange::find(handle)->begin_wait();
              Exchange::find(handle)->end_wait();
              return host_table.finish(handle);
            }),
    request(get,
            [](narwhal_exchange* handle) {  // shorter than it says
              start(handle, 100);
              host_table.write(handle, bytes("part"), 0);
              return NARWHAL_OK;
            }),
    request("HEAD / HTTP/1.0\r\n\r\n",
            [](narwhal_exchange* handle) { return host_table.fail(handle, 503, bytes("full")); }),
    request(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
        [](narwhal_exchange* handle) {
          Exchange& exchange = *Exchange::find(handle);
          exchange.inbox.expect();
          exchange.inbox.feed("12345");
          char got[4];
          CHECK(host_table.read_body(handle, got, sizeof got) == 4);
          exchange.set_gone();
          start(handle, -1);
          return NARWHAL_DEFERRED;
        },
        NARWHAL_STREAM_BODY),
    [](Exchange& exchange) {  // whatever its state may be
      std::memset(static_cast<void*>(static_cast<RequestState*>(&exchange)), 0x5a, sizeof(RequestState));
    },
};

}  // namespace

TEST_CASE("exchange: after reset() each byte is what it was when the exchange was made") {
  static Place place;
  const Image zeros = place.image(0x00, nullptr), ones = place.image(0xff, nullptr);
  for (const Use& use : uses) {
    CAPTURE(&use - uses);
    const Image used = place.image(0x00, use);
    for (std::size_t at = 0; at < sizeof(Exchange); ++at) {
      const bool has_meaning = zeros[at] == ones[at];  // else it lies between members, or is written before it is read
      if (has_meaning && !place.is_kept(at)) {
        CAPTURE(at);
        CHECK(used[at] == zeros[at]);
      }
    }
  }
}

TEST_CASE("exchange: what keeps its memory is empty after reset()") {
  for (const Use& use : uses) {
    static Exchange& exchange = *new Exchange(idle_loop());
    exchange.body.borrow("borrowed");
    use(exchange);
    give_back(exchange);
    CHECK(exchange.head.fields.empty());
    CHECK(exchange.body.size() == 0);
    CHECK(exchange.response.bytes().empty());
    CHECK(exchange.response.bytes().head().empty());
    CHECK(exchange.inbox.ended());
    CHECK_FALSE(exchange.handover.ended());
    std::vector<Segment> parts;
    CHECK_FALSE(exchange.handover.take(parts).has_head);
    CHECK(parts.empty());
    char got[8];
    CHECK(exchange.inbox.read(got, sizeof got).result == Inbox::Read::Result::ended);
    exchange.inbox.expect();
    CHECK(exchange.inbox.read(got, sizeof got).result == Inbox::Read::Result::nothing_yet);
    exchange.inbox.end();
  }
}
