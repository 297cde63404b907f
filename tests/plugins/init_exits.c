/* worker_init calls exit(0), which must not count as a success. */
#include "shared.h"

static int worker_init(const narwhal_boot *boot, void **instance) {
  keep_host(boot, instance);
  exit(0);
}

PLUGIN(.worker_init = worker_init, .handle = answer_ok);
