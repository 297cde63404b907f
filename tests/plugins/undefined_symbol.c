/* Calls a function that does not exist. */
#include "shared.h"

int narwhal_test_nobody_has_this(void);

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%d", narwhal_test_nobody_has_this());
}

PLUGIN(.worker_init = keep_host, .handle = handle);
