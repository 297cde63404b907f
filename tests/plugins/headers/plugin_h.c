/* plugin.h and extensions.h on their own, as a C plugin uses them. */
#include <narwhal/extensions.h>

static int handle(void *instance, narwhal_exchange *exchange) {
  const narwhal_host *host = (const narwhal_host *)instance;
  if (!NARWHAL_HAS(host, narwhal_host, get_extension)) return NARWHAL_ERROR;
  if (host->get_extension(NARWHAL_METRICS) == NULL) return NARWHAL_ERROR;
  return host->fail(exchange, 500, NARWHAL_LITERAL("why"));
}

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {
    .struct_size = sizeof(narwhal_plugin), .name = "headers", .version = "1", .handle = handle};
