// rate_limit: middleware that limits how many requests a client makes, over all workers together.
//   narwhal -w 4 --option per_second=2 --option burst=5 ./rate_limit.so
//   for i in 1 2 3 4 5 6; do curl -i http://127.0.0.1:8000/; done       the sixth is answered 429, with Retry-After
// For an app of yours: narwhal::wrap(app, rate_limit(boot)).
// The numbers that all workers share (metrics.hpp) stay for ever, and a server has 512 of them and of metrics: there
// cannot be one for each client. So there is a fixed number of buckets, and a client's address chooses two of them by a
// hash. It is refused when both are full. A busy client fills its own two; another one is refused by mistake only if
// it shares both.
// A bucket is one number: the time at which all requests that it has taken are paid for, at `per_second` (the generic
// cell rate algorithm, GCRA). A request moves it on by 1 / per_second. It may be at most `burst` requests in the future.
// It outlives reloads and workers that crash, because it is a time of the machine's clock since its start. A server that
// is started or upgraded begins again.
// Exact       for requests one after the other. Of those that several workers take in the same microseconds, some may be
//             too many.
// Clients     are the addresses that trusted proxies report (forwarded_allow_ips); of an IPv6 address the first 64 bits,
//             because one client has all the others. Without an address, as on a Unix socket, all are one client.
// Shown       rate_limit_refused_total in the server's /metrics.
#include <arpa/inet.h>
#include <unistd.h>
#include <narwhal/app.hpp>
#include <narwhal/metrics.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using narwhal::Request;
using narwhal::Response;
using narwhal::SharedNumber;

std::int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();  // one clock for all processes of the machine
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

class RateLimit {
 public:
  explicit RateLimit(const narwhal::Boot& boot) {
    const auto per_second = boot.get("per_second", 10.0);
    const auto burst = boot.get("burst", std::int64_t{20});
    const auto count = boot.get("buckets", std::size_t{200});
    const auto zone = boot.get("zone", "main");
    const auto check = [](bool holds, const char* text) {
      if (!holds) throw std::invalid_argument(text);
    };
    check(per_second >= 0.001 && per_second <= 1e6, "option 'per_second': 0.001 to 1000000 requests");
    check(burst >= 1 && burst <= 1'000'000, "option 'burst': 1 to 1000000 requests");
    check(count >= 2 && count <= 400, "option 'buckets': 2 to 400 numbers");
    cost_ns_ = static_cast<std::int64_t>(1e9 / per_second);
    burst_ns_ = cost_ns_ * burst;
    for (std::size_t i = 0; i < count; ++i) buckets_.emplace_back("rate_limit." + zone + "." + std::to_string(i));
    const bool shared =
        std::all_of(buckets_.begin(), buckets_.end(), [](const auto& each) { return each.is_shared(); });
    if (!shared) throw std::runtime_error("the server has no room for so many shared numbers: set 'buckets' lower");
    // Nobody can choose addresses that share buckets, because nobody knows the seed. The first worker chooses it.
    std::int64_t none = 0, random = 0;
    if (::getentropy(&random, sizeof random) != 0) throw std::runtime_error("getentropy failed");
    seed_.replace(none, random);
  }

  // Counts a request of this client. Nothing: it may be served. Else how long it would have to wait.
  std::optional<std::chrono::nanoseconds> refuse(std::string_view client) const {
    const std::size_t hash = std::hash<std::string>()(std::to_string(seed_.load()) + network_of(client));
    const std::size_t half = buckets_.size() / 2;
    const SharedNumber* const two[] = {&buckets_[hash % half], &buckets_[half + (hash >> 32) % half]};
    const std::int64_t now = now_ns(), latest = now + burst_ns_;
    // What the emptier one says counts, and both are filled to there: by two numbers of their own, a client would get
    // twice the rate.
    const std::int64_t then = std::max(std::min(two[0]->load(), two[1]->load()), now) + cost_ns_;
    if (then > latest) {
      refused_.add();
      return std::chrono::nanoseconds(then - latest);
    }
    for (const SharedNumber* bucket : two) {
      std::int64_t paid = bucket->load();
      while (paid < then && !bucket->replace(paid, then)) {
      }
    }
    return std::nullopt;
  }

 private:
  // The bytes that tell clients apart.
  static std::string network_of(std::string_view address) {
    std::string text(address);
    in6_addr bytes{};
    if (::inet_pton(AF_INET6, text.c_str(), &bytes) != 1 || IN6_IS_ADDR_V4MAPPED(&bytes)) return text;
    return {reinterpret_cast<const char*>(bytes.s6_addr), 8};
  }

  std::int64_t cost_ns_ = 0, burst_ns_ = 0;  // of one request, and of as many as may come at once
  std::deque<SharedNumber> buckets_;         // a client has one in each half
  SharedNumber seed_{"rate_limit.seed"};
  narwhal::Counter refused_{"rate_limit_refused_total", "Requests that were answered 429."};
};

narwhal::Middleware rate_limit(const narwhal::Boot& boot) {
  return [limit = std::make_shared<RateLimit>(boot)](narwhal::App app) -> narwhal::App {
    return [limit, app](const Request& request) -> Response {
      const auto wait = limit->refuse(request.client());
      if (!wait) return app(request);
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(*wait).count();
      return Response::text("too many requests\n", 429).header("Retry-After", std::to_string(seconds));
    };
  };
}

Response hello(const Request&) { return Response::text("Hello, but not too often!\n"); }

}  // namespace

NARWHAL_PLUGIN(narwhal::wrap(hello, rate_limit(boot)), .name = "rate_limit", .version = "1.0",
               .options = {
                   {"per_second", "float", "10", "requests that a client may make each second"},
                   {"burst", "int", "20", "requests that it may make at once"},
                   {"buckets", "int", "200", "shared numbers to count with: 2 to 400, and few of the server's 512"},
                   {"zone", "string", "main", "mounts with the same one have the same buckets"}})
