// The table of functions that a plugin under test calls. Each finds its exchange by the handle, and reports a call that
// comes without one or after its end.
// Threads    as plugin.h says of each call: any.
// Errors     the codes of plugin.h. Nothing throws out of a call.
#pragma once

#include <narwhal/testing/extensions.hpp>
#include <narwhal/testing/request_calls.hpp>
#include <narwhal/testing/response_parts.hpp>

#include <new>

namespace narwhal::testing::detail {

inline void report_stray(const narwhal_exchange* handle, const std::string& call) {
  if (const Handles::Entry* const entry = Handles::find(handle)) {
    entry->site->breach("called " + call + "() for " + entry->name +
                        ", which has ended: end each request once, and do not use it after that");
    return;
  }
  if (const std::shared_ptr<Site> site = current_site()) {
    site->breach("called " + call + "() " +
                 (handle == nullptr ? "without an exchange: NULL, as of a Deferred that was moved from"
                                    : "with a pointer that is not an exchange"));
  }
}

// `act` gets the exchange and its lock. `otherwise`: for one that has ended.
template <class Result, class Act>
Result with(const narwhal_exchange* handle, const char* call, Result otherwise, Act act) {
  const Handles::Entry* const entry = Handles::find(handle);
  const std::shared_ptr<Exchange> exchange = entry != nullptr ? entry->exchange.lock() : nullptr;
  bool has_ended_now = false;
  Result result = otherwise;
  if (exchange != nullptr) {
    Lock lock(exchange->mutex);
    if (!exchange->use_ended) {
      result = act(*exchange, lock);
      if (!exchange->use_ended) return result;
      has_ended_now = true;
    }
  }
  if (has_ended_now) {
    keep_ended(exchange);
  } else if (cancelled_by_thread() == nullptr || cancelled_by_thread() != exchange.get()) {
    report_stray(handle, call);
  }
  return result;
}

inline const narwhal_request& no_request() {
  static const narwhal_request none = [] {
    narwhal_request request{};
    request.struct_size = sizeof request;
    return request;
  }();
  return none;
}

namespace calls {

inline const narwhal_request* request(const narwhal_exchange* handle) noexcept {
  return with<const narwhal_request*>(handle, "request", &no_request(),
                                      [](Exchange& exchange, Lock&) { return exchange.request; });
}
inline narwhal_bytes header(const narwhal_exchange* handle, narwhal_bytes name) noexcept {
  return with<narwhal_bytes>(handle, "header", {nullptr, 0},
                             [&](Exchange& exchange, Lock&) { return field_of(exchange, view_of(name)); });
}
inline narwhal_bytes variable(narwhal_exchange* handle, narwhal_bytes name) noexcept {
  return with<narwhal_bytes>(handle, "variable", {nullptr, 0},
                             [&](Exchange& exchange, Lock&) { return detail::variable(exchange, view_of(name)); });
}
inline int body(narwhal_exchange* handle, narwhal_bytes* out) noexcept {
  return with(handle, "body", NARWHAL_STATE, [&](Exchange& exchange, Lock&) { return whole_body(exchange, out); });
}
inline int body_fd(narwhal_exchange* handle) noexcept {
  return with(handle, "body_fd", -1, [](Exchange& exchange, Lock&) { return exchange.body_file; });
}
inline std::int64_t read_body(narwhal_exchange* handle, char* buffer, std::size_t size) noexcept {
  return with<std::int64_t>(handle, "read_body", NARWHAL_STATE, [&](Exchange& exchange, Lock& lock) {
    const OneAtATime alone(exchange, exchange.reading, "read_body");
    return detail::read_body(exchange, lock, buffer, size);
  });
}
inline void* alloc(narwhal_exchange* handle, std::size_t size) noexcept {
  return with<void*>(handle, "alloc", nullptr, [&](Exchange& exchange, Lock&) { return allocate(exchange, size); });
}
inline void set_user(narwhal_exchange* handle, void* user) noexcept {
  with(handle, "set_user", 0, [&](Exchange& exchange, Lock&) { return exchange.user = user, 0; });
}
inline void* user(const narwhal_exchange* handle) noexcept {
  return with<void*>(handle, "user", nullptr, [](Exchange& exchange, Lock&) { return exchange.user; });
}
// The question whether there still is a client may come late.
inline int gone(const narwhal_exchange* handle) noexcept {
  const Handles::Entry* const entry = Handles::find(handle);
  const std::shared_ptr<Exchange> exchange = entry != nullptr ? entry->exchange.lock() : nullptr;
  if (exchange == nullptr) return 1;
  const Lock lock(exchange->mutex);
  return exchange->use_ended || exchange->gone ? 1 : 0;
}

inline int respond(narwhal_exchange* handle, const narwhal_response* response) noexcept {
  bool is_given = false;
  const int code = with(handle, "respond", NARWHAL_STATE, [&](Exchange& exchange, Lock& lock) {
    is_given = true;
    return detail::respond(exchange, lock, *response);
  });
  const bool lends = NARWHAL_HAS(response, narwhal_response, release_arg) && response->release != nullptr;
  if (!is_given && lends) response->release(response->release_arg);
  return code;
}
inline int start(narwhal_exchange* handle, const narwhal_response* response) noexcept {
  return with(handle, "start", NARWHAL_STATE,
              [&](Exchange& exchange, Lock&) { return detail::start(exchange, *response); });
}
inline int write(narwhal_exchange* handle, narwhal_bytes bytes, std::uint32_t flags) noexcept {
  return with(handle, "write", NARWHAL_STATE,
              [&](Exchange& exchange, Lock& lock) { return detail::write(exchange, lock, bytes, flags); });
}
inline int write_lent(narwhal_exchange* handle, narwhal_bytes bytes, std::uint32_t flags, void (*release)(void*),
                      void* release_arg) noexcept {
  bool is_given = false;
  const int code = with(handle, "write_lent", NARWHAL_STATE, [&](Exchange& exchange, Lock& lock) {
    is_given = true;
    return detail::write_lent(exchange, lock, bytes, flags, release, release_arg);
  });
  if (!is_given && release != nullptr) release(release_arg);
  return code;
}
inline int send_file(narwhal_exchange* handle, int fd, std::int64_t offset, std::int64_t length) noexcept {
  return with(handle, "send_file", NARWHAL_STATE,
              [&](Exchange& exchange, Lock& lock) { return detail::send_file(exchange, lock, fd, offset, length); });
}
inline int finish(narwhal_exchange* handle) noexcept {
  return with(handle, "finish", NARWHAL_STATE,
              [](Exchange& exchange, Lock& lock) { return detail::finish(exchange, lock); });
}
inline int fail(narwhal_exchange* handle, std::int32_t status, narwhal_bytes reason) noexcept {
  return with(handle, "fail", NARWHAL_STATE,
              [&](Exchange& exchange, Lock& lock) { return detail::fail(exchange, lock, status, view_of(reason)); });
}
inline int inform(narwhal_exchange* handle, std::int32_t status, const narwhal_field* fields,
                  std::uint32_t count) noexcept {
  return with(handle, "inform", NARWHAL_STATE,
              [&](Exchange& exchange, Lock&) { return detail::inform(exchange, status, fields, count); });
}
inline int trailers(narwhal_exchange* handle, const narwhal_field* fields, std::uint32_t count) noexcept {
  return with(handle, "trailers", NARWHAL_STATE,
              [&](Exchange& exchange, Lock&) { return detail::trailers(exchange, fields, count); });
}
inline void flush(narwhal_exchange* handle) noexcept {
  with(handle, "flush", 0, [](Exchange& exchange, Lock&) { return detail::flush(exchange), 0; });
}
inline int log_value(narwhal_exchange* handle, narwhal_bytes name, narwhal_bytes value) noexcept {
  return with(handle, "log_value", NARWHAL_STATE,
              [&](Exchange& exchange, Lock&) { return detail::log_value(exchange, view_of(name), view_of(value)); });
}

// ---- without an exchange ----

inline void log_text(std::int32_t level, narwhal_bytes line, narwhal_bytes text) noexcept {
  const std::shared_ptr<Site> site = current_site();
  if (site == nullptr) return;
  if (level < NARWHAL_LOG_DEBUG || level > NARWHAL_LOG_CRITICAL) {
    site->breach("called log() with level " + std::to_string(level) +
                 ": use NARWHAL_LOG_DEBUG to NARWHAL_LOG_CRITICAL");
  }
  level = std::clamp(level, NARWHAL_LOG_DEBUG, NARWHAL_LOG_CRITICAL);
  site->log({level, std::string(view_of(line)), std::string(view_of(text)), true});
}
inline void log(std::int32_t level, narwhal_bytes text) noexcept { log_text(level, text, {nullptr, 0}); }
inline int log_descriptor() noexcept { return 2; }

inline int watch(narwhal_bytes path) noexcept {
  constexpr std::size_t bytes_max = 491;
  const std::shared_ptr<Site> site = current_site();
  if (site == nullptr || site->is_set_up) return NARWHAL_STATE;
  const std::string_view text = view_of(path);
  if (text.size() > bytes_max || text.empty() || text.front() != '/' || text.find('\0') != text.npos) {
    site->breach("called watch() with '" + std::string(text.substr(0, bytes_max)) +
                 "': it takes an absolute path of at most 491 bytes");
    return NARWHAL_REFUSED;
  }
  const std::lock_guard lock(site->mutex);
  site->watched.emplace_back(text);
  return NARWHAL_OK;
}
inline void replace_worker() noexcept {
  if (const std::shared_ptr<Site> site = current_site()) ++site->replacements;
}
inline int left_at_once() noexcept {
  const std::shared_ptr<Site> site = current_site();
  if (site == nullptr) return 0;
  if (!site->is_exiting) site->breach("called left_at_once() outside of worker_exit(): only there it has an answer");
  return site->is_exiting && site->settings.leaves_at_once ? 1 : 0;
}

}  // namespace calls

// A table for one worker, which is never freed: a plugin may keep it. It ends after `size` bytes: what an older host does
// not have is NULL.
inline const narwhal_host* make_host(std::size_t size) {
  static constexpr narwhal_bytes server = {"narwhal/testing", 15};
  const narwhal_host whole = {sizeof(narwhal_host),
                              NARWHAL_ABI_MINOR,
                              0,
                              server,
                              calls::request,
                              calls::header,
                              calls::variable,
                              calls::body,
                              calls::body_fd,
                              calls::read_body,
                              calls::alloc,
                              calls::set_user,
                              calls::user,
                              calls::gone,
                              calls::respond,
                              calls::start,
                              calls::write,
                              calls::send_file,
                              calls::finish,
                              calls::fail,
                              calls::log,
                              calls::get_extension,
                              calls::inform,
                              calls::trailers,
                              calls::log_text,
                              calls::log_descriptor,
                              calls::watch,
                              calls::flush,
                              calls::write_lent,
                              calls::log_value,
                              calls::replace_worker,
                              calls::left_at_once};
  static auto& mutex = *new std::mutex;
  static auto& made = *new std::vector<std::unique_ptr<narwhal_host>>;
  auto host = std::make_unique<narwhal_host>();
  std::memcpy(host.get(), &whole, std::min(size, sizeof whole));
  host->struct_size = size;
  const std::lock_guard lock(mutex);
  made.push_back(std::move(host));
  return made.back().get();
}

}  // namespace narwhal::testing::detail
