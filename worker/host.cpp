// The table of functions that plugins call: each finds its Exchange and lets no exception out.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "narwhal/text.hpp"
#include "worker/exchange.hpp"
#include "worker/extensions.hpp"
#include "worker/loop.hpp"
#include "worker/read_body.hpp"
#include "worker/recycling.hpp"
#include "worker/thread_rules.hpp"
#include "worker/watched_files.hpp"

#ifndef NARWHAL_VERSION
#define NARWHAL_VERSION "0"
#endif

namespace narwhal::worker {

namespace {

// Out of memory is the one thing that can throw below: the plugin gets an error code.
template <class Call>
auto no_throw(Call&& call) noexcept -> decltype(call()) try {
  return call();
} catch (const std::exception& error) {
  log::error("a plugin's call failed: {}", error.what());
  return NARWHAL_ERROR;
}

// A call with the handle of an exchange that has ended: it must change nothing, since another request may have that memory.
void report_misuse(const narwhal_exchange* handle, const char* call) noexcept {
  static LogLimit without_limit(1), late_limit(1);
  const Mount* const mount = handle != nullptr ? Exchange::last_mount(handle) : nullptr;
  if (mount == nullptr)
    return without_limit.error(
        "a plugin has called {}() without an exchange, as by a Deferred that was moved from: the call does nothing",
        call);
  late_limit.error("plugin '{}' has called {}() for a request that has ended: the call does nothing", mount->source,
                   call);
}

Exchange* find(const narwhal_exchange* handle, const char* call) noexcept {
  Exchange* const exchange = Exchange::find(handle);
  if (exchange == nullptr) [[unlikely]]
    report_misuse(handle, call);
  return exchange;
}

// What a call returns for an exchange that has ended.
constexpr narwhal_request no_request = [] {
  narwhal_request request{};
  request.struct_size = sizeof request;
  return request;
}();
constexpr narwhal_bytes no_bytes{nullptr, 0};

// `act` gets the exchange.
template <class Act>
auto with(const narwhal_exchange* handle, const char* call, Act act) noexcept
    -> decltype(act(std::declval<Exchange&>())) {
  Exchange* const exchange = find(handle, call);
  if (exchange == nullptr) [[unlikely]]
    return NARWHAL_STATE;
  return no_throw([&] { return act(*exchange); });
}

const narwhal_request* request(const narwhal_exchange* handle) noexcept {
  Exchange* const exchange = find(handle, "request");
  return exchange != nullptr ? &exchange->request() : &no_request;
}

narwhal_bytes header(const narwhal_exchange* handle, narwhal_bytes name) noexcept {
  Exchange* const exchange = find(handle, "header");
  if (exchange == nullptr) return no_bytes;
  const Bytes value = exchange->head.field(view_of(name));
  return {value.data, value.size};
}

narwhal_bytes variable(narwhal_exchange* handle, narwhal_bytes name) noexcept {
  Exchange* const exchange = find(handle, "variable");
  if (exchange == nullptr) return no_bytes;
  const OneAtATime alone(*exchange, CallGroup::memory, "variable");
  return exchange->variable(view_of(name));
}

int body(narwhal_exchange* handle, narwhal_bytes* out) noexcept {
  return with(handle, "body", [&](Exchange& exchange) { return whole_body(exchange, *out); });
}

int body_fd(narwhal_exchange* handle) noexcept {
  Exchange* const exchange = find(handle, "body_fd");
  return exchange != nullptr ? exchange->body.fd() : -1;
}

int64_t read_body(narwhal_exchange* handle, char* buffer, size_t size) noexcept {
  return with(handle, "read_body", [&](Exchange& exchange) -> int64_t {
    const OneAtATime alone(exchange, CallGroup::reading, "read_body");
    return worker::read_body(exchange, buffer, size);
  });
}

void* alloc(narwhal_exchange* handle, size_t size) noexcept {
  Exchange* const exchange = find(handle, "alloc");
  if (exchange == nullptr) return nullptr;
  const OneAtATime alone(*exchange, CallGroup::memory, "alloc");
  return exchange->arena.allocate(size);
}

// Atomic, because slow() and stuck() read it while the handler runs.
void set_user(narwhal_exchange* handle, void* user) noexcept {
  if (Exchange* const exchange = find(handle, "set_user"))
    std::atomic_ref(exchange->user).store(user, std::memory_order_release);
}

void* user(const narwhal_exchange* handle) noexcept {
  Exchange* const exchange = find(handle, "user");
  return exchange != nullptr ? std::atomic_ref(exchange->user).load(std::memory_order_acquire) : nullptr;
}

// The question whether there still is a client may come late.
int gone(const narwhal_exchange* handle) noexcept {
  const Exchange* const exchange = Exchange::find(handle);
  return exchange == nullptr || exchange->gone() ? 1 : 0;
}

int respond(narwhal_exchange* handle, const narwhal_response* response) noexcept {
  Exchange* const exchange = find(handle, "respond");
  if (exchange != nullptr) return no_throw([&] { return exchange->response.respond(*response); });
  const bool lends = NARWHAL_HAS(response, narwhal_response, release_arg);
  const LentBytes given_back(lends ? response->release : nullptr, lends ? response->release_arg : nullptr);
  return NARWHAL_STATE;
}

int start(narwhal_exchange* handle, const narwhal_response* response) noexcept {
  return with(handle, "start", [&](Exchange& exchange) { return exchange.response.start(*response); });
}

ResponseWriter::WhenFull when_full(std::uint32_t flags) noexcept {
  return (flags & NARWHAL_NOWAIT) != 0 ? ResponseWriter::WhenFull::fail : ResponseWriter::WhenFull::wait;
}

// One of a later minor version: it may change what the call means, so it cannot be passed over.
bool knows_flags(const Exchange& exchange, const char* call, std::uint32_t flags) noexcept {
  if ((flags & ~NARWHAL_NOWAIT) == 0) [[likely]]
    return true;
  static LogLimit limit;
  limit.error("{} {}: {}() with flags {:#x}, of which this server knows {:#x} only: the call does nothing",
              exchange.head.method.view(), exchange.head.target.view(), call, flags, NARWHAL_NOWAIT);
  return false;
}

int write(narwhal_exchange* handle, narwhal_bytes bytes, uint32_t flags) noexcept {
  return with(handle, "write", [&](Exchange& exchange) {
    if (!knows_flags(exchange, "write", flags)) return NARWHAL_REFUSED;
    return exchange.response.write(view_of(bytes), when_full(flags));
  });
}

int write_lent(narwhal_exchange* handle, narwhal_bytes bytes, uint32_t flags, void (*release)(void*),
               void* release_arg) noexcept {
  Exchange* const exchange = find(handle, "write_lent");
  if (exchange != nullptr && knows_flags(*exchange, "write_lent", flags)) {
    return no_throw(
        [&] { return exchange->response.write(view_of(bytes), when_full(flags), LentBytes(release, release_arg)); });
  }
  const LentBytes given_back(release, release_arg);
  return exchange != nullptr ? NARWHAL_REFUSED : NARWHAL_STATE;
}

int send_file(narwhal_exchange* handle, int fd, int64_t offset, int64_t length) noexcept {
  return with(handle, "send_file", [&](Exchange& exchange) { return exchange.response.send_file(fd, offset, length); });
}

int finish(narwhal_exchange* handle) noexcept {
  return with(handle, "finish", [](Exchange& exchange) { return exchange.response.finish(); });
}

int fail(narwhal_exchange* handle, int32_t status, narwhal_bytes reason) noexcept {
  return with(handle, "fail", [&](Exchange& exchange) { return exchange.response.fail(status, view_of(reason)); });
}

int inform(narwhal_exchange* handle, int32_t status, const narwhal_field* fields, uint32_t count) noexcept {
  return with(handle, "inform", [&](Exchange& exchange) { return exchange.response.inform(status, fields, count); });
}

int trailers(narwhal_exchange* handle, const narwhal_field* fields, uint32_t count) noexcept {
  return with(handle, "trailers", [&](Exchange& exchange) { return exchange.response.trailers(fields, count); });
}

void flush(narwhal_exchange* handle) noexcept {
  Exchange* const exchange = find(handle, "flush");
  if (exchange == nullptr) return;
  if (!exchange->on_handler_thread())
    return report_thread(*exchange, "flush", "on another thread than that of handle(): it does nothing there");
  exchange->response.flush();
}

int log_value(narwhal_exchange* handle, narwhal_bytes name, narwhal_bytes value) noexcept {
  return with(handle, "log_value", [&](Exchange& exchange) {
    const OneAtATime alone(exchange, CallGroup::memory, "log_value");
    return exchange.add_log_value(view_of(name), view_of(value)) ? NARWHAL_OK : NARWHAL_ERROR;
  });
}

LogLevel known_level(int32_t level) noexcept {
  return static_cast<LogLevel>(std::clamp(level, NARWHAL_LOG_DEBUG, NARWHAL_LOG_CRITICAL));
}

void write_log(int32_t level, narwhal_bytes text) noexcept {
  if (log::enabled(known_level(level))) log::write(known_level(level), view_of(text));
}

void write_log_text(int32_t level, narwhal_bytes line, narwhal_bytes text) noexcept {
  if (line.size == 0 || log::enabled(known_level(level))) log::write(known_level(level), view_of(line), view_of(text));
}

int watch(narwhal_bytes path) noexcept {
  return no_throw([&] { return watch_file(view_of(path)); });
}

void replace_worker() noexcept { Recycling::ask(); }
int left_at_once() noexcept {
  static LogLimit limit(1);
  if (::gettid() != ::getpid())
    limit.error(
        "a plugin has called left_at_once() on another thread than the worker's main one: it has an answer in "
        "worker_exit() only");
  return worker::left_at_once() ? 1 : 0;
}

const void* get_extension(const char* id) noexcept { return find_extension(id); }

}  // namespace

const narwhal_host host_table = {
    .struct_size = sizeof(narwhal_host),
    .abi_minor = NARWHAL_ABI_MINOR,
    .reserved_0 = 0,
    .server = {"narwhal/" NARWHAL_VERSION, sizeof("narwhal/" NARWHAL_VERSION) - 1},
    .request = request,
    .header = header,
    .variable = variable,
    .body = body,
    .body_fd = body_fd,
    .read_body = read_body,
    .alloc = alloc,
    .set_user = set_user,
    .user = user,
    .gone = gone,
    .respond = respond,
    .start = start,
    .write = write,
    .send_file = send_file,
    .finish = finish,
    .fail = fail,
    .log = write_log,
    .get_extension = get_extension,
    .inform = inform,
    .trailers = trailers,
    .log_text = write_log_text,
    .log_descriptor = log::descriptor,
    .watch = watch,
    .flush = flush,
    .write_lent = write_lent,
    .log_value = log_value,
    .replace_worker = replace_worker,
    .left_at_once = left_at_once,
};

}  // namespace narwhal::worker
