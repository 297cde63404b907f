/* Its table has the fault that the environment's BAD_TABLE names. */
#include "shared.h"

static narwhal_option options[] = {{"one", "string", NULL, "the first of two", 0}, {"two", "int", "2", "", 0}, {0}};

NARWHAL_EXPORT narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin),
                                                   .abi_minor = NARWHAL_ABI_MINOR,
                                                   .name = "test",
                                                   .options = options,
                                                   .worker_init = keep_host,
                                                   .handle = answer_ok};

__attribute__((constructor)) static void spoil(void) {
  const char *fault = getenv("BAD_TABLE");
  if (fault == NULL) return;
  if (strcmp(fault, "struct_size") == 0) narwhal_plugin_v1.struct_size = 0;
  if (strcmp(fault, "handle") == 0) narwhal_plugin_v1.handle = NULL;
  if (strcmp(fault, "name") == 0) narwhal_plugin_v1.name = NULL;
  if (strcmp(fault, "empty_name") == 0) narwhal_plugin_v1.name = "";
  if (strcmp(fault, "flags") == 0) narwhal_plugin_v1.flags = 0x40;
  if (strcmp(fault, "type") == 0) options[1].type = "integer";
  if (strcmp(fault, "no_type") == 0) options[1].type = NULL;
  if (strcmp(fault, "fallback") == 0) options[1].fallback = "many";
  if (strcmp(fault, "twice") == 0) options[1].key = "one";
  if (strcmp(fault, "option_flags") == 0) options[1].flags = 0x40;
  if (strcmp(fault, "required") == 0) options[1].flags = NARWHAL_REQUIRED;
  if (strcmp(fault, "no_value") == 0) options[0].flags = NARWHAL_REQUIRED;
}
