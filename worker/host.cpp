// The table of functions that plugins call: each finds its Exchange and lets no exception out.
#include <algorithm>
#include <new>

#include "core/log.hpp"
#include "narwhal/text.hpp"
#include "worker/exchange.hpp"
#include "worker/loop.hpp"
#include "worker/read_body.hpp"
#include "worker/recycling.hpp"
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

const narwhal_request* request(const narwhal_exchange* handle) noexcept { return &exchange_of(handle).request(); }

narwhal_bytes header(const narwhal_exchange* handle, narwhal_bytes name) noexcept {
  const Bytes value = exchange_of(handle).head.field(view_of(name));
  return {value.data, value.size};
}

narwhal_bytes variable(narwhal_exchange* handle, narwhal_bytes name) noexcept {
  return exchange_of(handle).variable(view_of(name));
}

int body(narwhal_exchange* handle, narwhal_bytes* out) noexcept {
  return no_throw([&] { return whole_body(exchange_of(handle), *out); });
}

int body_fd(narwhal_exchange* handle) noexcept { return exchange_of(handle).body.fd(); }

int64_t read_body(narwhal_exchange* handle, char* buffer, size_t size) noexcept {
  return no_throw([&]() -> int64_t { return worker::read_body(exchange_of(handle), buffer, size); });
}

void* alloc(narwhal_exchange* handle, size_t size) noexcept { return exchange_of(handle).arena.allocate(size); }
void set_user(narwhal_exchange* handle, void* user) noexcept { exchange_of(handle).user = user; }
void* user(const narwhal_exchange* handle) noexcept { return exchange_of(handle).user; }
int gone(const narwhal_exchange* handle) noexcept { return exchange_of(handle).gone() ? 1 : 0; }

int respond(narwhal_exchange* handle, const narwhal_response* response) noexcept {
  return no_throw([&] { return exchange_of(handle).response.respond(*response); });
}

int start(narwhal_exchange* handle, const narwhal_response* response) noexcept {
  return no_throw([&] { return exchange_of(handle).response.start(*response); });
}

ResponseWriter::WhenFull when_full(std::uint32_t flags) noexcept {
  return (flags & NARWHAL_NOWAIT) != 0 ? ResponseWriter::WhenFull::fail : ResponseWriter::WhenFull::wait;
}

int write(narwhal_exchange* handle, narwhal_bytes bytes, uint32_t flags) noexcept {
  return no_throw([&] { return exchange_of(handle).response.write(view_of(bytes), when_full(flags)); });
}

int write_lent(narwhal_exchange* handle, narwhal_bytes bytes, uint32_t flags, void (*release)(void*),
               void* release_arg) noexcept {
  return no_throw([&] {
    return exchange_of(handle).response.write(view_of(bytes), when_full(flags), LentBytes(release, release_arg));
  });
}

int send_file(narwhal_exchange* handle, int fd, int64_t offset, int64_t length) noexcept {
  return no_throw([&] { return exchange_of(handle).response.send_file(fd, offset, length); });
}

int finish(narwhal_exchange* handle) noexcept {
  return no_throw([&] { return exchange_of(handle).response.finish(); });
}

int fail(narwhal_exchange* handle, int32_t status, narwhal_bytes reason) noexcept {
  return no_throw([&] { return exchange_of(handle).response.fail(status, view_of(reason)); });
}

int inform(narwhal_exchange* handle, int32_t status, const narwhal_field* fields, uint32_t count) noexcept {
  return no_throw([&] { return exchange_of(handle).response.inform(status, fields, count); });
}

int trailers(narwhal_exchange* handle, const narwhal_field* fields, uint32_t count) noexcept {
  return no_throw([&] { return exchange_of(handle).response.trailers(fields, count); });
}

void flush(narwhal_exchange* handle) noexcept { exchange_of(handle).response.flush(); }

int log_value(narwhal_exchange* handle, narwhal_bytes name, narwhal_bytes value) noexcept {
  return exchange_of(handle).add_log_value(view_of(name), view_of(value)) ? NARWHAL_OK : NARWHAL_ERROR;
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
int left_at_once() noexcept { return worker::left_at_once() ? 1 : 0; }

const void* get_extension(const char*) noexcept { return nullptr; }  // this host has none yet

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
