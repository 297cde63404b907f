// A host for plugin code under test: one exchange at a time, everything in memory, every rule of plugin.h that
// the C++ face relies on enforced. What a real host would send is what an Answer holds.
#pragma once

#include <narwhal/app.hpp>

#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What a test asks for.
struct Ask {
  std::string method = "GET", target = "/", prefix = "", body = "";
  Pairs headers = {};
  bool streamed = false;           // the body comes by read_body() alone
  std::size_t read_max = 1 << 20;  // bytes read_body() gives at once
  std::int64_t deadline_ns = 0;
  std::size_t gone_after = ~std::size_t{0};  // the client leaves after this many calls of write()
  std::size_t slow_after = ~std::size_t{0};  // from this many calls on, NARWHAL_NOWAIT gets NARWHAL_AGAIN
};

struct narwhal_exchange {
  Ask ask;
  std::vector<narwhal_field> fields;
  narwhal_request request{};
  std::vector<std::unique_ptr<char[]>> arena;
  std::size_t body_read = 0, writes = 0;
  void* user = nullptr;
  std::atomic<bool> gone{false};

  // The answer.
  std::mutex mutex;
  std::condition_variable ended_changed;
  int status = 0;
  Pairs headers, trailers, log_values;
  std::vector<std::pair<int, Pairs>> interim;
  std::string body, reason;
  const char* body_at = nullptr;  // where the plugin's bytes of a respond() were
  bool released = false;          // release was given and called
  std::int64_t declared = -1;
  bool started = false, complete = false, cut = false, ended = false;
};

namespace fake {

inline std::vector<std::string> log_lines;
inline std::mutex log_mutex;

inline narwhal_bytes of(const std::string& text) { return {text.data(), text.size()}; }
inline std::string text_of(narwhal_bytes bytes) { return {bytes.data, bytes.size}; }

inline const narwhal_request* request(const narwhal_exchange* exchange) { return &exchange->request; }
inline narwhal_bytes header(const narwhal_exchange* exchange, narwhal_bytes name) {
  for (const narwhal_field& field : exchange->fields) {
    if (field.name.size == name.size && strncasecmp(field.name.data, name.data, name.size) == 0) return field.value;
  }
  return {nullptr, 0};
}
inline narwhal_bytes variable(narwhal_exchange* exchange, narwhal_bytes name) {
  return text_of(name) == "REQUEST_METHOD" ? exchange->request.method : narwhal_bytes{nullptr, 0};
}
inline int body(narwhal_exchange* exchange, narwhal_bytes* out) {
  if (exchange->gone) return NARWHAL_GONE;
  if (exchange->ask.streamed) return NARWHAL_STATE;
  *out = of(exchange->ask.body);
  return NARWHAL_OK;
}
inline int body_fd(narwhal_exchange*) { return -1; }
inline std::int64_t read_body(narwhal_exchange* exchange, char* buffer, std::size_t size) {
  if (exchange->gone) return NARWHAL_GONE;
  const std::string& body = exchange->ask.body;
  const std::size_t got = std::min({size, exchange->ask.read_max, body.size() - exchange->body_read});
  std::memcpy(buffer, body.data() + exchange->body_read, got);
  exchange->body_read += got;
  return static_cast<std::int64_t>(got);
}
inline void* alloc(narwhal_exchange* exchange, std::size_t size) {
  // Exactly so large, so that the sanitizer sees one byte too many.
  exchange->arena.push_back(std::make_unique<char[]>(size));
  return exchange->arena.back().get();
}
inline void set_user(narwhal_exchange* exchange, void* user) { exchange->user = user; }
inline void* user(const narwhal_exchange* exchange) { return exchange->user; }
inline int gone(const narwhal_exchange* exchange) { return exchange->gone ? 1 : 0; }

inline void end(narwhal_exchange* exchange) {
  exchange->ended = true;
  exchange->ended_changed.notify_all();
}
inline bool take_fields(const narwhal_field* fields, std::uint32_t count, Pairs& taken) {
  for (std::uint32_t i = 0; i < count; ++i) {
    taken.emplace_back(text_of(fields[i].name), text_of(fields[i].value));
    if (taken.back().second.find_first_of("\r\n") != std::string::npos) return false;
  }
  return true;
}
inline int take_head(narwhal_exchange* exchange, const narwhal_response* response) {
  if (exchange->started) return NARWHAL_STATE;
  if (response->status < 200 || response->status > 599) return NARWHAL_REFUSED;
  Pairs headers;
  if (!take_fields(response->fields, response->field_count, headers)) return NARWHAL_REFUSED;
  exchange->headers = std::move(headers);
  exchange->status = response->status;
  exchange->started = true;
  return NARWHAL_OK;
}
inline int respond_head(narwhal_exchange* exchange, const narwhal_response* response) {
  const std::lock_guard lock(exchange->mutex);
  if (exchange->gone) {
    end(exchange);
    return NARWHAL_GONE;
  }
  const int code = take_head(exchange, response);
  if (code != NARWHAL_OK) return code;
  exchange->body = text_of(response->body);
  exchange->body_at = response->body.data;
  exchange->complete = true;
  end(exchange);
  return NARWHAL_OK;
}
inline int respond(narwhal_exchange* exchange, const narwhal_response* response) {
  const auto release = response->release;
  const int code = respond_head(exchange, response);
  // A released exchange may be gone by now when another thread waits for its end: only what is ours is touched.
  if (release != nullptr) release(response->release_arg);
  return code;
}
inline int start(narwhal_exchange* exchange, const narwhal_response* response) {
  const std::lock_guard lock(exchange->mutex);
  if (exchange->gone) return NARWHAL_GONE;
  exchange->declared = response->body_size;
  return take_head(exchange, response);
}
inline int write(narwhal_exchange* exchange, narwhal_bytes bytes, std::uint32_t flags) {
  const std::lock_guard lock(exchange->mutex);
  if (exchange->writes++ >= exchange->ask.gone_after) exchange->gone = true;
  if (exchange->gone) return NARWHAL_GONE;
  if (!exchange->started || exchange->ended) return NARWHAL_STATE;
  if ((flags & NARWHAL_NOWAIT) != 0 && exchange->writes > exchange->ask.slow_after) return NARWHAL_AGAIN;
  const auto total = static_cast<std::int64_t>(exchange->body.size() + bytes.size);
  if (exchange->declared >= 0 && total > exchange->declared) return NARWHAL_STATE;
  exchange->body += text_of(bytes);
  return NARWHAL_OK;
}
inline int send_file(narwhal_exchange* exchange, int fd, std::int64_t offset, std::int64_t length) {
  std::string part(static_cast<std::size_t>(length), '\0');
  if (::pread(fd, part.data(), part.size(), offset) != length) return NARWHAL_ERROR;
  return write(exchange, of(part), 0);
}
inline int finish(narwhal_exchange* exchange) {
  const std::lock_guard lock(exchange->mutex);
  const bool whole = exchange->declared < 0 || exchange->declared == static_cast<std::int64_t>(exchange->body.size());
  exchange->complete = exchange->started && whole && !exchange->gone;
  exchange->cut = exchange->started && !whole;
  end(exchange);
  return exchange->gone ? NARWHAL_GONE : exchange->complete ? NARWHAL_OK : NARWHAL_STATE;
}
inline int fail(narwhal_exchange* exchange, std::int32_t status, narwhal_bytes reason) {
  const std::lock_guard lock(exchange->mutex);
  exchange->reason = text_of(reason);
  if (exchange->started) {
    exchange->cut = true;
  } else if (!exchange->gone) {
    exchange->status = status;
    exchange->complete = true;
  }
  end(exchange);
  return exchange->gone ? NARWHAL_GONE : NARWHAL_OK;
}
inline void log(std::int32_t, narwhal_bytes text) {
  const std::lock_guard lock(log_mutex);
  log_lines.push_back(text_of(text));
}
inline const void* get_extension(const char*) { return nullptr; }
inline int inform(narwhal_exchange* exchange, std::int32_t status, const narwhal_field* fields, std::uint32_t count) {
  const std::lock_guard lock(exchange->mutex);
  if (exchange->gone) return NARWHAL_GONE;
  if (exchange->started) return NARWHAL_STATE;
  Pairs taken;
  if (status < 102 || status > 199 || !take_fields(fields, count, taken)) return NARWHAL_REFUSED;
  exchange->interim.emplace_back(status, std::move(taken));
  return NARWHAL_OK;
}
inline int trailers(narwhal_exchange* exchange, const narwhal_field* fields, std::uint32_t count) {
  const std::lock_guard lock(exchange->mutex);
  if (exchange->gone) return NARWHAL_GONE;
  if (!exchange->started || exchange->ended) return NARWHAL_STATE;
  Pairs taken;
  if (!take_fields(fields, count, taken)) return NARWHAL_REFUSED;
  exchange->trailers.insert(exchange->trailers.end(), taken.begin(), taken.end());
  return NARWHAL_OK;
}

inline void log_text(std::int32_t level, narwhal_bytes line, narwhal_bytes) { log(level, line); }
inline int log_descriptor() { return 2; }
inline int watch(narwhal_bytes) { return NARWHAL_STATE; }
inline void flush(narwhal_exchange*) {}
inline int log_value(narwhal_exchange* exchange, narwhal_bytes name, narwhal_bytes value) {
  exchange->log_values.emplace_back(text_of(name), text_of(value));
  return NARWHAL_OK;
}
inline int write_lent(narwhal_exchange* exchange, narwhal_bytes bytes, std::uint32_t flags, void (*release)(void*),
                      void* release_arg) {
  const int code = write(exchange, bytes, flags);
  if (code != NARWHAL_AGAIN) release(release_arg);
  return code;
}

// A host of an earlier minor version states a smaller struct_size, whatever follows its end in memory.
inline int replacements_asked = 0;

inline narwhal_host host = {sizeof(narwhal_host),
                            NARWHAL_ABI_MINOR,
                            0,
                            {"fake/1", 6},
                            request,
                            header,
                            variable,
                            body,
                            body_fd,
                            read_body,
                            alloc,
                            set_user,
                            user,
                            gone,
                            respond,
                            start,
                            write,
                            send_file,
                            finish,
                            fail,
                            log,
                            get_extension,
                            inform,
                            trailers,
                            log_text,
                            log_descriptor,
                            watch,
                            flush,
                            write_lent,
                            log_value,
                            [] { ++replacements_asked; },
                            [] { return 0; }};

inline std::map<std::string, std::string> options;
inline std::string boot_failure;
inline std::optional<std::uint32_t> boot_flags;  // the argument of set_flags()

inline narwhal_boot boot() {
  narwhal_boot boot{};
  boot.struct_size = sizeof boot;
  boot.host = &host;
  boot.prefix = {"", 0};
  boot.threads = 1;
  boot.generation = 1;
  boot.option = [](const narwhal_boot*, const char* key) {
    const auto found = options.find(key);
    return found == options.end() ? narwhal_bytes{nullptr, 0} : of(found->second);
  };
  boot.fail = [](const narwhal_boot*, narwhal_bytes reason) { boot_failure = text_of(reason); };
  boot.set_flags = [](const narwhal_boot*, std::uint32_t flags) { boot_flags = flags; };
  return boot;
}

inline std::unique_ptr<narwhal_exchange> exchange(Ask ask) {
  auto made = std::make_unique<narwhal_exchange>();
  made->ask = std::move(ask);
  const Ask& asked = made->ask;
  for (const auto& [name, value] : asked.headers) made->fields.push_back({of(name), of(value)});
  const std::size_t question = asked.target.find('?');
  narwhal_request& request = made->request;
  request.struct_size = sizeof request;
  request.method = of(asked.method);
  request.target = of(asked.target);
  request.path = {asked.target.data(), std::min(question, asked.target.size())};
  if (question != std::string::npos) {
    request.query = {asked.target.data() + question + 1, asked.target.size() - question - 1};
  }
  request.prefix = of(asked.prefix);
  request.scheme = {"http", 4};
  request.protocol = {"HTTP/1.1", 8};
  request.peer = {"192.0.2.1", 9};
  request.field_count = static_cast<std::uint32_t>(made->fields.size());
  request.fields = made->fields.data();
  request.body_size = asked.streamed ? -1 : static_cast<std::int64_t>(asked.body.size());
  request.deadline_ns = asked.deadline_ns;
  request.client = {"203.0.113.9", 11};
  return made;
}

}  // namespace fake

// What the client and the server's log got to see.
struct Answer {
  int code = 0;  // what handle() returned
  int status = 0;
  Pairs headers, trailers;
  std::vector<std::pair<int, Pairs>> interim;
  std::string body, reason;
  bool complete = false, cut = false;
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return "(none)";
  }
};

// One worker that has set up one instance of a plugin.
class Worker {
 public:
  explicit Worker(const narwhal_plugin& plugin) : plugin_(plugin) {
    const narwhal_boot boot = fake::boot();
    fake::boot_failure.clear();
    boot_code_ = plugin_.worker_init(&boot, &instance_);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    if (boot_code_ == NARWHAL_OK) plugin_.worker_exit(instance_);
  }
  int boot_code() const { return boot_code_; }
  void* instance() const { return instance_; }
  const narwhal_plugin& plugin() const { return plugin_; }

  // Waits for the end of a deferred one, with a deadline.
  Answer ask(Ask ask) {
    const auto exchange = fake::exchange(std::move(ask));
    const int code = plugin_.handle(instance_, exchange.get());
    return collect(*exchange, code);
  }
  static Answer collect(narwhal_exchange& exchange, int code) {
    std::unique_lock lock(exchange.mutex);
    if (code == NARWHAL_DEFERRED &&
        !exchange.ended_changed.wait_for(lock, std::chrono::seconds(10), [&] { return exchange.ended; })) {
      std::abort();  // the exchange was not ended, and the test's threads cannot be joined
    }
    const bool host_answers = code < 0 && !exchange.ended;  // as plugin.h says of handle()
    return {.code = code,
            .status = host_answers && !exchange.started ? 500 : exchange.status,
            .headers = exchange.headers,
            .trailers = exchange.trailers,
            .interim = exchange.interim,
            .body = exchange.body,
            .reason = exchange.reason,
            .complete = exchange.complete,
            .cut = exchange.cut || (host_answers && exchange.started)};
  }

 private:
  narwhal_plugin plugin_;
  void* instance_ = nullptr;
  int boot_code_ = NARWHAL_ERROR;
};

// Any app, without a plugin of its own.
inline narwhal::App app_under_test;
inline narwhal::App make_app_under_test(const narwhal::Boot&) { return app_under_test; }
inline const narwhal_plugin plugin_under_test =
    narwhal::detail::AbiAdapter<make_app_under_test>::plugin(narwhal::PluginFacts{}, nullptr);

inline Answer ask(narwhal::App app, Ask request) {
  app_under_test = std::move(app);
  Worker worker(plugin_under_test);
  return worker.ask(std::move(request));
}
