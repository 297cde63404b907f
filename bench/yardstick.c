/* yardstick: the plugin that measures the server, and so does as little as possible itself.
 *   /      "Hello, world!", 13 bytes of text/plain
 *   /big   1 MiB of static memory, which the host may keep pointers into
 *   /echo  the request's body
 * Built twice: YARDSTICK_FLAGS is 0 for the ordinary plugin and NARWHAL_INLINE for the inline one. */
#include <narwhal/plugin.h>
#include <string.h>

#ifndef YARDSTICK_FLAGS
#define YARDSTICK_FLAGS 0
#endif

#define BIG_BYTES (1u << 20)

static const narwhal_host *host;
static char big[BIG_BYTES] __attribute__((aligned(4096)));
static const char text_plain[] = "text/plain";
static const char content_type[] = "Content-Type";
static const narwhal_field type_field = {{content_type, sizeof content_type - 1}, {text_plain, sizeof text_plain - 1}};

/* Static memory needs no release, but saying so is what lets the host send from it without a copy. */
static void keep(void *unused) { (void)unused; }

static int answer(narwhal_exchange *exchange, int32_t status, narwhal_bytes body, void (*release)(void *)) {
  const narwhal_response response = {.struct_size = sizeof response,
                                     .status = status,
                                     .field_count = 1,
                                     .fields = &type_field,
                                     .body = body,
                                     .release = release};
  return host->respond(exchange, &response);
}

static int is(narwhal_bytes path, const char *text, size_t size) {
  return path.size == size && memcmp(path.data, text, size) == 0;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  const narwhal_bytes path = host->request(exchange)->path;
  if (path.size == 1) return answer(exchange, 200, NARWHAL_LITERAL("Hello, world!"), NULL);
  if (is(path, "/big", 4)) return answer(exchange, 200, narwhal_bytes_of(big, sizeof big), keep);
  if (is(path, "/echo", 5)) {
    narwhal_bytes body;
    const int code = host->body(exchange, &body);
    return code == NARWHAL_OK ? answer(exchange, 200, body, NULL) : code;
  }
  return answer(exchange, 404, NARWHAL_LITERAL("Not Found\n"), NULL);
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  (void)instance;
  host = boot->host;
  memset(big, 'x', sizeof big);
  return NARWHAL_OK;
}

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin),
                                                         .abi_minor = NARWHAL_ABI_MINOR,
                                                         .flags = YARDSTICK_FLAGS,
                                                         .name = "yardstick",
                                                         .version = "1.0",
                                                         .worker_init = worker_init,
                                                         .handle = handle};
