/* Never finishes being loaded. */
#include <unistd.h>

#include "shared.h"

__attribute__((constructor)) static void loaded(void) {
  for (;;) pause();
}

PLUGIN(.worker_init = keep_host, .handle = answer_ok);
