/* A plugin for an ABI that does not exist yet. */
#include <narwhal/plugin.h>

NARWHAL_EXPORT const char *const narwhal_plugin_v2 = "a later major version";
