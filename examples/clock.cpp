// clock: server-sent events for any number of clients, from one thread of the plugin's own.
//   curl -N 'http://127.0.0.1:8000/?n=5&ms=200'    five events, 200 ms apart; without n, events without end
// No handler thread is occupied: each request is deferred. A client that is too slow for its events misses some. The
// stream of a client that leaves is dropped at once. When the worker is retired, every stream gets a last event and
// ends, so that browsers connect again, to the next worker.
#include <narwhal/app.hpp>

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <map>
#include <mutex>
#include <thread>

namespace {

using namespace std::chrono_literals;
using narwhal::Deferred;
using narwhal::Sent;
using Time = std::chrono::steady_clock;

struct Stream {
  Deferred client;
  Time::duration period;
  std::uint64_t left;  // events still to send
  std::uint64_t id = 1;
};

std::string event(std::uint64_t id) {
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[96];
  const std::size_t size = std::strftime(text, sizeof text, "%FT%TZ", &parts);
  return "id: " + std::to_string(id) + "\ndata: " + std::string(text, size) + "\n\n";
}

class Clock {
 public:
  explicit Clock(const narwhal::Boot& boot) : period_ms_(boot.get("ms", 1000u)), thread_([this] { run(); }) {}
  ~Clock() {
    change([this] { leaving_ = true; });
    thread_.join();
  }

  narwhal::Response operator()(const narwhal::Request& request) {
    const std::uint64_t count = number(request, "n", ~std::uint64_t{0});
    const auto period =
        std::chrono::milliseconds(std::clamp<std::uint64_t>(number(request, "ms", period_ms_), 1, 3'600'000));
    return narwhal::Response::deferred([this, count, period](Deferred client) {
      client.on_cancel([this] { change([this] { some_left_ = true; }); });
      change([&] { arrived_.push_back({std::move(client), period, count}); });
    });
  }

  void drain() {
    change([this] { draining_ = true; });
  }

 private:
  static std::uint64_t number(const narwhal::Request& request, std::string_view name, std::uint64_t otherwise) {
    const std::optional<std::string> text = request.query(name);
    return text ? std::stoull(*text) : otherwise;
  }

  // Changes what the mutex guards, and wakes the thread.
  template <class Change>
  void change(Change apply) {
    const std::lock_guard lock(mutex_);
    apply();
    changed_.notify_one();
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!leaving_) {
      const auto until = due_.empty() ? Time::now() + 1h : due_.begin()->first;
      changed_.wait_until(lock, until, [this] { return leaving_ || some_left_ || draining_ || !arrived_.empty(); });
      std::vector<Stream> arrived = std::exchange(arrived_, {});
      const bool sweep = std::exchange(some_left_, false), all = draining_;
      lock.unlock();  // not held while clients are written to: handlers and the loop must not wait for clients
      for (Stream& stream : arrived) begin(std::move(stream));
      if (sweep) std::erase_if(due_, [](const auto& entry) { return entry.second.client.gone(); });
      tick(all ? Time::time_point::max() : Time::now(), all);
      lock.lock();
      // After draining, only streams that still arrive are left to do.
      if (all && arrived_.empty()) changed_.wait(lock, [this] { return leaving_ || !arrived_.empty(); });
    }
  }

  void begin(Stream stream) {
    const auto head =
        narwhal::Response(200).header("Content-Type", "text/event-stream").header("Cache-Control", "no-store");
    if (stream.client.start(head) == Sent::ok) due_.emplace(Time::now(), std::move(stream));
  }

  // Sends an event to every stream that is due by `now`; with `last`, ends the stream.
  void tick(Time::time_point now, bool last) {
    while (!due_.empty() && due_.begin()->first <= now) {
      auto entry = due_.extract(due_.begin());
      Stream& stream = entry.mapped();
      if (last) {
        stream.client.try_write("event: bye\ndata: reconnect\n\n");
        stream.client.finish();
      } else if (stream.left == 0) {
        stream.client.finish();
      } else if (serve(stream)) {
        // Missed events are not made up for in a burst; and after the last event there is nothing to wait for.
        entry.key() = stream.left == 0 ? now : std::max(entry.key() + stream.period, now + 1ns);
        due_.insert(std::move(entry));
      }
    }
  }

  // False when the client is gone; destroying the stream is then enough.
  static bool serve(Stream& stream) {
    const Sent sent = stream.client.try_write(event(stream.id));
    ++stream.id;
    if (stream.left != ~std::uint64_t{0}) --stream.left;
    return sent == Sent::ok || sent == Sent::again;
  }

  const unsigned period_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Stream> arrived_;
  bool some_left_ = false, draining_ = false, leaving_ = false;
  std::multimap<Time::time_point, Stream> due_;  // used by the thread only
  std::thread thread_;                           // the last member, because it uses all the others
};

}  // namespace

NARWHAL_PLUGIN(Clock(boot), .name = "clock", .version = "1.0",
               .options = {{"ms", "int", "1000", "milliseconds between two events"}})
