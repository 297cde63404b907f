/* ?ms=N sleeps in the handler. Answers "begun done" as the worker has counted them, this request included. */
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static atomic_long begun, done;

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  const long ms = query_number(exchange, "ms", 0);
  atomic_fetch_add(&begun, 1);
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
  const long now = atomic_fetch_add(&done, 1) + 1;
  return answer(exchange, "%ld %ld", atomic_load(&begun), now);
}

PLUGIN(.worker_init = keep_host, .handle = handle);
