/* As if built against an earlier minor version: its object ends after handle. What follows is not part of it, and the
 * server must not read it. */
#include <stddef.h>

#include "shared.h"

typedef struct {
  narwhal_plugin known;
} plugin_of_yesterday;

static void never(void *instance) {
  (void)instance;
  abort();
}

NARWHAL_EXPORT const plugin_of_yesterday narwhal_plugin_v1 = {.known = {.struct_size = offsetof(narwhal_plugin, cancel),
                                                                        .name = "test",
                                                                        .version = "1",
                                                                        .worker_init = keep_host,
                                                                        .handle = answer_ok,
                                                                        .drain = never,
                                                                        .worker_exit = never}};
