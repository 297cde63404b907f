/* As if built against a later minor version: its object is longer than the one that this server knows, and has a flag
 * that it does not know. */
#include "shared.h"

typedef struct {
  narwhal_plugin today;
  void (*hook_of_tomorrow)(void);
  const char *text_of_tomorrow;
} plugin_of_tomorrow;

static void hook(void) { abort(); }

NARWHAL_EXPORT const plugin_of_tomorrow narwhal_plugin_v1 = {.today = {.struct_size = sizeof(plugin_of_tomorrow),
                                                                       .abi_minor = NARWHAL_ABI_MINOR + 7,
                                                                       .flags = 1u << 30, /* a flag of tomorrow */
                                                                       .name = "test",
                                                                       .version = "1",
                                                                       .worker_init = keep_host,
                                                                       .handle = answer_ok},
                                                             .hook_of_tomorrow = hook,
                                                             .text_of_tomorrow = "unknown"};
