/* worker_init never returns. */
#include <unistd.h>

#include "shared.h"

static int worker_init(const narwhal_boot *boot, void **instance) {
  for (;;) pause();
  return keep_host(boot, instance);
}

PLUGIN(.worker_init = worker_init, .handle = answer_ok);
