/* Defers every exchange and does nothing until it is cancelled. /stats answers "deferred cancelled". */
#include <stdatomic.h>

#include "shared.h"

static atomic_long deferred, cancelled;

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/stats")) {
    return answer(exchange, "%ld %ld", atomic_load(&deferred), atomic_load(&cancelled));
  }
  atomic_fetch_add(&deferred, 1);
  return NARWHAL_DEFERRED;
}

static void cancel(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  atomic_fetch_add(&cancelled, 1);
  host->finish(exchange);
}

PLUGIN(.worker_init = keep_host, .handle = handle, .cancel = cancel);
