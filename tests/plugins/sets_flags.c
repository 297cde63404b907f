/* Sets its mount's flags to the option `flags`, where it is given, in the hook that the option `at` names. */
#include "shared.h"

static int set(const narwhal_boot *boot, const char *hook) {
  const narwhal_bytes flags = boot->option(boot, "flags"), at = boot->option(boot, "at");
  const int here = at.size == strlen(hook) && memcmp(at.data, hook, at.size) == 0;
  if (here && flags.size == 1) boot->set_flags(boot, (uint32_t)(flags.data[0] - '0'));
  return NARWHAL_OK;
}

static int preload(const narwhal_boot *boot, void **instance) {
  (void)instance;
  return set(boot, "preload");
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  keep_host(boot, instance);
  return set(boot, "worker_init");
}

static int ready_check(const narwhal_boot *boot, void *instance) {
  (void)instance;
  return set(boot, "ready_check");
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "served");
}

static const narwhal_option options[] = {
    {"flags", "int", NULL, "a digit", 0}, {"at", "string", "worker_init", "the hook that sets them", 0}, {0}};

PLUGIN(.flags = NARWHAL_STREAM_BODY, .options = options, .preload = preload, .worker_init = worker_init,
       .ready_check = ready_check, .handle = handle);
