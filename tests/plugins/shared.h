/* What the test plugins share: the host, a plain text answer, a number from the query, and the exported object. */
#ifndef TESTS_PLUGINS_SHARED_H
#define TESTS_PLUGINS_SHARED_H

#include <narwhal/plugin.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const narwhal_host *host;

static inline int keep_host(const narwhal_boot *boot, void **instance) {
  (void)instance;
  host = boot->host;
  return NARWHAL_OK;
}

__attribute__((format(printf, 2, 3))) static inline int answer(narwhal_exchange *exchange, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const narwhal_field type = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};
  const narwhal_response response = {.struct_size = sizeof response,
                                     .status = 200,
                                     .field_count = 1,
                                     .fields = &type,
                                     .body = narwhal_bytes_of(text, (size_t)size)};
  return host->respond(exchange, &response);
}

static inline int answer_ok(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "ok");
}

/* name=NUMBER in the query. */
static inline long query_number(narwhal_exchange *exchange, const char *name, long otherwise) {
  const narwhal_bytes query = host->request(exchange)->query;
  const size_t size = strlen(name);
  for (size_t at = 0; at + size < query.size; ++at) {
    const int starts = at == 0 || query.data[at - 1] == '&';
    if (!starts || memcmp(query.data + at, name, size) != 0 || query.data[at + size] != '=') continue;
    char digits[20] = "";
    const size_t left = query.size - (at + size + 1);
    memcpy(digits, query.data + at + size + 1, left < sizeof digits - 1 ? left : sizeof digits - 1);
    return strtol(digits, NULL, 10);
  }
  return otherwise;
}

static inline int path_is(narwhal_exchange *exchange, const char *path) {
  const narwhal_bytes have = host->request(exchange)->path;
  return have.size == strlen(path) && memcmp(have.data, path, have.size) == 0;
}

/* An option as a NUL-terminated string, valid in the block that asks, or NULL. */
#define OPTION(boot, key) option_text((boot), (key), (char[256]){0})
static inline const char *option_text(const narwhal_boot *boot, const char *key, char room[256]) {
  const narwhal_bytes value = boot->option(boot, key);
  if (value.data == NULL) return NULL;
  snprintf(room, 256, "%.*s", (int)value.size, value.data);
  return room;
}

static inline int boot_failed(const narwhal_boot *boot, const char *reason) {
  boot->fail(boot, narwhal_bytes_of(reason, strlen(reason)));
  return NARWHAL_ERROR;
}

#define PLUGIN(...)                                                                               \
  NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin), \
                                                           .abi_minor = NARWHAL_ABI_MINOR,        \
                                                           .name = "test",                        \
                                                           .version = "1",                        \
                                                           __VA_ARGS__}

#endif
