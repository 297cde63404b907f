// plugin.h and extensions.h on their own, as a C++ plugin without app.hpp uses them, of 1998 and later.
#include <narwhal/extensions.h>

static int handle(void* instance, narwhal_exchange* exchange) {
  const narwhal_host* host = static_cast<const narwhal_host*>(instance);
  if (!NARWHAL_HAS(host, narwhal_host, get_extension)) return NARWHAL_ERROR;
  if (host->get_extension(NARWHAL_METRICS) == NULL) return NARWHAL_ERROR;
  return host->fail(exchange, 500, NARWHAL_LITERAL("why"));
}

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {sizeof(narwhal_plugin),
                                                         NARWHAL_ABI_MINOR,
                                                         NARWHAL_INLINE,
                                                         "headers",
                                                         "1",
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         handle,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL,
                                                         NULL};
