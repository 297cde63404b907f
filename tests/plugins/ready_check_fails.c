/* Its init succeeds; its ready_check fails. */
#include "shared.h"

static int ready_check(const narwhal_boot *boot, void *instance) {
  (void)instance;
  return boot_failed(boot, "the self-check fails on purpose");
}

PLUGIN(.worker_init = keep_host, .ready_check = ready_check, .handle = answer_ok);
