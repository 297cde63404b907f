// narwhal/testing.hpp: a host for tests of a plugin, without a server, a socket or a process. C++20; with any test framework.
//
//   #define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
//   #include <doctest/doctest.h>
//   #include <narwhal/testing.hpp>
//
//   TEST_CASE("the shop shows a price, and keeps up with a client that leaves") {
//     narwhal::testing::Worker worker(narwhal_plugin_v1, {.options = {{"currency", "SEK"}}});  // or worker("./shop.so")
//     const narwhal::testing::Answer price = worker.get("/price/7");
//     CHECK(price.status == 200);
//     CHECK(price.header("Content-Type") == "application/json");
//     CHECK(price.body == R"({"price": 12, "in": "SEK"})");
//     CHECK(worker.post("/order", "not JSON").status == 400);
//
//     narwhal::testing::Client client = worker.begin({.target = "/events"});  // a deferred stream
//     CHECK(client.wait_for_body(10));
//     client.leave();  // the plugin's cancel() is called
//   }
//
// Plugin      linked into the test (its narwhal_plugin_v1), or loaded from a file with dlopen(). Its static variables are
//             shared by all workers of the test program.
// Behaviour   the return codes, checks, fields and log lines of the server. There is no HTTP: no parsing, no chunks.
//             A test of the repository runs the same plugins here and in a real worker, and compares.
// Breaches    what the plugin does against plugin.h is written down, each in one sentence that names plugin, call and
//             request. A breach that the test has not taken (take_breaches()) fails it when the Worker is destroyed: see
//             on_breach(). The list is in narwhal-testing(7).
// Threads     a Worker, its Clients and their Answers belong to the test's thread, which plays the event loop. handle() and
//             the hooks of set-up run on threads of the worker.
// Errors      send() and its like throw std::logic_error if the worker has not booted. What hangs is a breach after
//             Settings::patience, or ends the program if a thread cannot be joined.
// Build       g++ -std=c++20 shop_test.cpp shop.cpp -pthread -ldl
#pragma once

#include <narwhal/testing/client.hpp>
#include <narwhal/testing/crew.hpp>

#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// The plugin that is linked into the test, if one is.
extern "C" const narwhal_plugin narwhal_plugin_v1;

namespace narwhal::testing {

// One worker that has set up one instance of a plugin.
class Worker {
 public:
  explicit Worker(const narwhal_plugin& plugin, Settings settings = {}) : Worker(std::move(settings)) { boot(&plugin); }
  // "./shop.so". It is not unloaded.
  explicit Worker(const std::string& file, Settings settings = {}) : Worker(std::move(settings)) {
    site_->source = file;
    site_->name = file;
    boot(detail::open_plugin(*site_, file, error_));
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  // Ends the worker, and reports the breaches that nobody has taken: on_breach().
  ~Worker() noexcept(false) {
    end();
    {
      const std::lock_guard lock(detail::sites().mutex);
      std::erase(detail::sites().open, site_);
    }
    detail::report(site_->breaches.close());
  }

  // ---- the set-up ----
  bool ready() const noexcept { return error_.empty(); }
  // Why it has not booted, as the server would say it: "worker_init of shop: no database". Empty: it has.
  const std::string& boot_error() const noexcept { return error_; }
  void* instance() const noexcept { return site_->instance; }
  const narwhal_host& host() const noexcept { return *site_->host; }
  std::uint32_t flags() const noexcept { return site_->plugin.flags; }  // the plugin's, or those of set_flags()

  // ---- requests ----
  // Sends a request and waits for the whole answer.
  Answer send(ClientRequest request) { return begin(std::move(request)).answer(); }
  Answer get(std::string target, Fields headers = {}) {
    return send({.target = std::move(target), .headers = std::move(headers)});
  }
  Answer post(std::string target, std::string body, Fields headers = {}) {
    return send(
        {.method = "POST", .target = std::move(target), .body = std::move(body), .headers = std::move(headers)});
  }
  // Sends a request, and returns while it is handled: its handler has begun, unless every thread is in another.
  Client begin(ClientRequest request) {
    if (!ready()) throw std::logic_error("narwhal/testing: the worker has not booted: " + error_);
    auto exchange = std::make_shared<detail::Exchange>(site_, std::move(request));
    detail::fill_request(*exchange);
    exchange->handle = detail::Handles::add(exchange);
    if (prefix_size(view_of(exchange->request->path), site_->settings.prefix) == std::string_view::npos) {
      not_mounted(*exchange);
    } else {
      crew_->handle(exchange);
    }
    return Client(std::move(exchange));
  }

  // ---- what has been seen ----
  std::vector<std::string> breaches() const { return site_->breaches.all(); }
  // Takes them: they were meant, and do not fail the test.
  std::vector<std::string> take_breaches() { return site_->breaches.take(); }
  // The lines of the error log so far, of the plugin and of the host; take_log() empties it.
  std::vector<LogLine> log() const {
    const std::lock_guard lock(site_->mutex);
    return site_->lines;
  }
  std::vector<LogLine> take_log() {
    const std::lock_guard lock(site_->mutex);
    return std::exchange(site_->lines, {});
  }
  bool has_logged(std::string_view text) const {
    const std::vector<LogLine> lines = log();
    return std::any_of(lines.begin(), lines.end(), [text](const LogLine& line) {
      return line.line.find(text) != std::string::npos || line.text.find(text) != std::string::npos;
    });
  }
  std::vector<std::string> watched() const {  // the files of watch()
    const std::lock_guard lock(site_->mutex);
    return site_->watched;
  }
  unsigned replacements_asked() const noexcept { return site_->replacements; }  // calls of replace_worker()
  // What narwhal/extensions.h has, shared by all workers of the test program. 0: there is none of this name.
  static double metric(const std::string& name, const std::string& labels = "") {  // a histogram's sum
    return metric_now(name, labels).value;
  }
  static std::uint64_t observations(const std::string& histogram, const std::string& labels = "") {
    const std::vector<std::uint64_t> counts = metric_now(histogram, labels).counts;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }
  static std::int64_t shared_number(const std::string& name) {
    const std::lock_guard lock(detail::numbers().mutex);
    const auto found = detail::numbers().shared.find(name);
    return found == detail::numbers().shared.end() ? 0 : found->second;
  }

  // ---- its life ----
  // The event loop makes the calls that were posted, and timers fire that are due within this time. It is not waited for.
  void pass_time(std::chrono::milliseconds time = std::chrono::milliseconds(0)) { detail::pass_time(site_, time); }
  // The worker is being retired: calls the plugin's drain(). Requests are still served.
  void drain() { crew_->drain(); }
  // Ends it now: clients leave, and the plugin's last functions are called. Breaches stay to be taken.
  void end() {
    if (crew_ != nullptr) crew_->end();
  }

 private:
  explicit Worker(Settings settings) : site_(std::make_shared<detail::Site>()) {
    site_->settings = std::move(settings);
    site_->host = detail::make_host(site_->settings.host_size);
    const std::lock_guard lock(detail::sites().mutex);
    detail::sites().open.push_back(site_);
  }

  // `table`: null if it could not be loaded.
  void boot(const narwhal_plugin* table) {
    if (table == nullptr) return;
    error_ = detail::take_table(*site_, *table);
    if (error_.empty()) error_ = detail::check_options(*site_);
    if (!error_.empty()) return;
    crew_ = std::make_unique<detail::Crew>(site_);
    crew_->boot();
    error_ = crew_->error();
  }

  static narwhal_metric metric_now(const std::string& name, const std::string& labels) {
    const std::lock_guard lock(detail::numbers().mutex);
    const auto found = detail::numbers().metrics.find({name, labels});
    return found != detail::numbers().metrics.end() ? found->second : narwhal_metric{};
  }

  // The server answers: no plugin is mounted there.
  static void not_mounted(detail::Exchange& exchange) {
    detail::Lock lock(exchange.mutex);
    detail::respond_with(exchange, lock, "respond", detail::plain_response(404, "Not Found\n"));
    exchange.returned = true;
  }

  std::shared_ptr<detail::Site> site_;
  std::unique_ptr<detail::Crew> crew_;
  std::string error_;
};

}  // namespace narwhal::testing
