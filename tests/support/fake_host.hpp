// The test harness for plugins in the words of the tests of the C++ interface: any app, without a plugin of its own; and
// single exchanges, whose handle() the test calls itself. All behaviour is that of narwhal/testing.hpp.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <narwhal/app.hpp>
#include <narwhal/testing.hpp>
#include <string>
#include <utility>
#include <vector>

using Pairs = narwhal::testing::Fields;

// What a test asks for.
struct Ask {
  std::string method = "GET", target = "/", prefix = "", body = "";
  Pairs headers = {};              // none: those of a client that takes trailers
  bool streamed = false;           // the body comes by read_body() alone
  std::size_t read_max = 1 << 20;  // bytes read_body() gives at once
  std::int64_t deadline_ns = 0;
  std::size_t gone_after = narwhal::testing::never;  // the client leaves after this many calls of write()
  std::size_t slow_after = narwhal::testing::never;  // from this many calls on, NARWHAL_NOWAIT gets NARWHAL_AGAIN
  bool breaks = false;                               // a breach of plugin.h is meant
};

struct Answer : narwhal::testing::Answer {
  std::vector<std::string> breaches = {};
  std::string header(std::string_view name) const {
    return has_header(name) ? narwhal::testing::Answer::header(name) : "(none)";
  }
};

namespace fake {

using narwhal::testing::detail::Lock;
using namespace narwhal::testing::detail::calls;

inline std::vector<std::string> log_lines;  // of plugins
inline std::map<std::string, std::string> options;
inline std::string boot_failure;
inline std::optional<std::uint32_t> boot_flags;  // the argument of set_flags()
// Tests may make it shorter: a host of an earlier minor version states a smaller struct_size.
inline int replacements_asked = 0;
inline narwhal_host host = [] {
  narwhal_host made = *narwhal::testing::detail::make_host(sizeof(narwhal_host));
  made.replace_worker = [] { ++replacements_asked; };
  made.log = [](std::int32_t level, narwhal_bytes text) {  // also without a worker
    if (narwhal::testing::detail::current_site() != nullptr) return log(level, text);
    log_lines.emplace_back(narwhal::view_of(text));
  };
  return made;
}();

inline std::string text_of(narwhal_bytes bytes) { return std::string(narwhal::view_of(bytes)); }

inline narwhal::testing::ClientRequest request_of(Ask ask) {
  if (ask.headers.empty()) ask.headers = {{"TE", "trailers"}};
  return {.method = std::move(ask.method),
          .target = std::move(ask.target),
          .body = std::move(ask.body),
          .headers = std::move(ask.headers),
          .adds_headers = false,
          .client = "203.0.113.9",
          .chunked = ask.streamed,
          .read_max = ask.read_max,
          .deadline_ns = ask.deadline_ns,
          .leaves_after = ask.gone_after,
          .slow_after = ask.slow_after};
}
inline narwhal::testing::Settings settings(std::string prefix = "") {
  return {.options = options, .prefix = std::move(prefix), .host_size = host.struct_size};
}

// What a plugin of the newest worker has logged since, also outside of ask().
inline void take_lines() {
  const auto site = narwhal::testing::detail::current_site();
  if (site == nullptr) return;
  const std::lock_guard lock(site->mutex);
  for (const narwhal::testing::LogLine& line : std::exchange(site->lines, {})) {
    if (line.is_plugins) log_lines.push_back(line.line);
  }
}

// For tests of narwhal::Boot: it has no plugin.
inline narwhal_boot boot() {
  narwhal_boot boot{};
  boot.struct_size = sizeof boot;
  boot.host = &host;
  boot.prefix = {"", 0};
  boot.threads = 1;
  boot.generation = 1;
  boot.option = [](const narwhal_boot*, const char* key) {
    const auto found = options.find(key);
    return found == options.end() ? narwhal_bytes{nullptr, 0} : narwhal::bytes_of(found->second);
  };
  boot.fail = [](const narwhal_boot*, narwhal_bytes reason) { boot_failure = text_of(reason); };
  boot.set_flags = [](const narwhal_boot*, std::uint32_t flags) { boot_flags = flags; };
  return boot;
}

// One exchange without a worker: for a test that calls handle() itself, and looks at it meanwhile. Its breaches are
// not looked at.
struct Exchange {
  explicit Exchange(Ask ask) : real(make(std::move(ask))), request(*real->request), gone{real.get()} {}

  narwhal_exchange* get() const { return real->handle; }
  // Its state at this moment.
  const Exchange* operator->() const {
    const Lock lock(real->mutex);
    ended = real->ended;
    user = real->user;
    body = real->answer.body;
    log_values = real->answer.log_values;
    body_at = real->body_at;
    return this;
  }
  const Exchange& operator*() const { return *this; }

  std::shared_ptr<narwhal::testing::detail::Exchange> real;
  narwhal_request& request;
  struct Gone {
    narwhal::testing::detail::Exchange* exchange = nullptr;
    const Gone& operator=(bool is_gone) const {
      const Lock lock(exchange->mutex);
      exchange->gone = is_gone;
      exchange->changed.notify_all();
      return *this;
    }
  } gone;
  mutable bool ended = false;
  mutable void* user = nullptr;
  mutable std::string body;
  mutable Pairs log_values;
  mutable const char* body_at = nullptr;

 private:
  static std::shared_ptr<narwhal::testing::detail::Exchange> make(Ask ask) {
    auto site = std::make_shared<narwhal::testing::detail::Site>();
    site->settings = settings(ask.prefix);
    site->plugin.flags = ask.streamed ? NARWHAL_STREAM_BODY : 0;
    site->host = &host;
    auto made = std::make_shared<narwhal::testing::detail::Exchange>(site, request_of(std::move(ask)));
    fill_request(*made);
    made->handle = narwhal::testing::detail::Handles::add(made);
    return made;
  }
};
inline Exchange exchange(Ask ask) { return Exchange(std::move(ask)); }

}  // namespace fake

// One worker that has set up one instance of a plugin.
class Worker {
 public:
  explicit Worker(const narwhal_plugin& plugin, std::string prefix = "")
      : plugin_(plugin), worker_(plugin, fake::settings(std::move(prefix))) {
    const std::size_t reason = worker_.boot_error().find(": ");
    if (worker_.flags() != plugin.flags) fake::boot_flags = worker_.flags();
    fake::boot_failure = worker_.ready() ? "" : worker_.boot_error().substr(reason + 2);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    worker_.end();
    fake::take_lines();
    for (const std::string& breach : worker_.take_breaches()) {
      if (!breaks_) FAIL_CHECK(breach << " (where it is meant: .breaks = true)");
    }
  }
  int boot_code() const { return worker_.ready() ? NARWHAL_OK : NARWHAL_ERROR; }
  void* instance() const { return worker_.instance(); }
  const narwhal_plugin& plugin() const { return plugin_; }
  narwhal::testing::Worker& real() { return worker_; }

  // Waits for the end of a deferred one, with a deadline.
  Answer ask(Ask ask) {
    breaks_ = breaks_ || ask.breaks;
    Answer answer{worker_.send(fake::request_of(std::move(ask)))};
    answer.breaches = worker_.breaches();
    fake::take_lines();
    return answer;
  }
  static Answer collect(const fake::Exchange& exchange, int code) {
    narwhal::testing::detail::Exchange& real = *exchange.real;
    fake::Lock lock(real.mutex);
    if (code == NARWHAL_DEFERRED) {
      REQUIRE(real.changed.wait_for(lock, std::chrono::seconds(10), [&] { return real.ended; }));
    }
    real.answer.code = code;
    fake::take_lines();
    return Answer{answer_so_far(real)};
  }

 private:
  narwhal_plugin plugin_;
  narwhal::testing::Worker worker_;
  bool breaks_ = false;
};

// Any app, without a plugin of its own.
inline narwhal::App app_under_test;
inline narwhal::App make_app_under_test(const narwhal::Boot&) { return app_under_test; }
inline const narwhal_plugin plugin_under_test =
    narwhal::detail::AbiAdapter<make_app_under_test>::plugin(narwhal::PluginFacts{.name = "app"}, nullptr);

inline Answer ask(narwhal::App app, Ask request) {
  app_under_test = std::move(app);
  narwhal_plugin plugin = plugin_under_test;
  if (request.streamed) plugin.flags = NARWHAL_STREAM_BODY;
  Worker worker(plugin, request.prefix);
  return worker.ask(std::move(request));
}
