/* plugin.h as C11 sees it; abi_layout_test.cpp looks at what comes out. */
#include <narwhal/plugin.h>

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return exchange == NULL ? NARWHAL_ERROR : NARWHAL_OK;
}

static const narwhal_option options[] = {{"one", "int", "1", "the first", 0}, {0}};

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {
    .struct_size = sizeof(narwhal_plugin), .name = "from_c11", .version = "1", .options = options, .handle = handle};

const narwhal_plugin *plugin_from_c11(void);
const narwhal_plugin *plugin_from_c11(void) { return &narwhal_plugin_v1; }
