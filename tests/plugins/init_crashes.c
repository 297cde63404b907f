/* worker_init dereferences null. */
#include "shared.h"

static int worker_init(const narwhal_boot *boot, void **instance) {
  *(volatile int *)(boot == NULL ? (void *)instance : NULL) = 1;
  return NARWHAL_OK;
}

PLUGIN(.worker_init = worker_init, .handle = answer_ok);
