/* The smallest plugin in C: every request gets the same answer. Each function is described in narwhal/plugin.h.
 *   cc -std=c11 -fPIC -shared -fvisibility=hidden -o hello_c.so hello_c.c && narwhal ./hello_c.so */
#include <narwhal/plugin.h>

/* Once in each worker. Keeps the server's table of functions, of which handle() needs one. */
static int worker_init(const narwhal_boot *boot, void **instance) {
  *instance = (void *)boot->host;
  return NARWHAL_OK;
}

/* For each request, on any of the handler threads. */
static int handle(void *instance, narwhal_exchange *exchange) {
  const narwhal_host *host = instance;
  const narwhal_field type = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};
  return host->respond(exchange, &(narwhal_response){.struct_size = sizeof(narwhal_response),
                                                     .status = 200,
                                                     .field_count = 1,
                                                     .fields = &type,
                                                     .body = NARWHAL_LITERAL("Hello, world!\n")});
}

/* The one symbol of a plugin. */
NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin),
                                                         .name = "hello_c",
                                                         .version = "1.0",
                                                         .worker_init = worker_init,
                                                         .handle = handle};
