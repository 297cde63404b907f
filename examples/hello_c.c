/* The smallest plugin in C: every request gets the same answer. */
#include <narwhal/plugin.h>

static int worker_init(const narwhal_boot *boot, void **instance) {
  *instance = (void *)boot->host;
  return NARWHAL_OK;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  const narwhal_host *host = instance;
  const narwhal_field type = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};
  return host->respond(exchange, &(narwhal_response){.struct_size = sizeof(narwhal_response),
                                                     .status = 200,
                                                     .field_count = 1,
                                                     .fields = &type,
                                                     .body = NARWHAL_LITERAL("Hello, world!\n")});
}

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin),
                                                         .name = "hello_c",
                                                         .version = "1.0",
                                                         .worker_init = worker_init,
                                                         .handle = handle};
