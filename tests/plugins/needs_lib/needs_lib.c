/* Needs a library that lies next to it: DT_NEEDED with DT_RUNPATH $ORIGIN. */
#include "../shared.h"

const char *neighbour_says(void);

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%s", neighbour_says());
}

PLUGIN(.worker_init = keep_host, .handle = handle);
