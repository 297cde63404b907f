/* Built against an earlier minor version, as it were: its object ends with handle; what follows is no part of it. */
#include <stddef.h>

#include "shared.h"

typedef struct {
  narwhal_plugin short_one;
} plugin_of_yesterday;

static void never(void *instance) {
  (void)instance;
  abort();
}

NARWHAL_EXPORT const plugin_of_yesterday narwhal_plugin_v1 = {
    .short_one = {.struct_size = offsetof(narwhal_plugin, cancel),
                  .name = "test",
                  .version = "1",
                  .worker_init = keep_host,
                  .handle = answer_ok,
                  .drain = never,
                  .worker_exit = never}};
