/* worker_init dereferences null. */
#include "shared.h"

/* A sanitizer must not turn this crash into a report of its own. */
__attribute__((no_sanitize("undefined"))) static int worker_init(const narwhal_boot *boot, void **instance) {
  volatile int *volatile nowhere = NULL;
  *nowhere = 1;
  return keep_host(boot, instance);
}

PLUGIN(.worker_init = worker_init, .handle = answer_ok);
