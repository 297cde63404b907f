// plugin.h on its own, as a C++ plugin without app.hpp uses it, of 1998 and later.
#include <narwhal/plugin.h>

static int handle(void* instance, narwhal_exchange* exchange) {
  const narwhal_host* host = static_cast<const narwhal_host*>(instance);
  if (!NARWHAL_HAS(host, narwhal_host, get_extension)) return NARWHAL_ERROR;
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
                                                         NULL};
