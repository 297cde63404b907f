/* ?ms=N sleeps in the handler. Answers "begun done" as this worker has counted them, this request included. With
 * begin=1 half of the answer comes before the sleep, and the rest after it. */
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static atomic_long begun, done;

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  const long ms = query_number(exchange, "ms", 0);
  const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  atomic_fetch_add(&begun, 1);
  if (query_number(exchange, "begin", 0) == 1) {
    const narwhal_response head = {.struct_size = sizeof head, .status = 200, .body_size = 8};
    host->start(exchange, &head);
    host->write(exchange, NARWHAL_LITERAL("half"), 0);
    nanosleep(&time, NULL);
    host->write(exchange, NARWHAL_LITERAL("full"), 0);
    return host->finish(exchange);
  }
  nanosleep(&time, NULL);
  const long now = atomic_fetch_add(&done, 1) + 1;
  return answer(exchange, "%ld %ld", atomic_load(&begun), now);
}

PLUGIN(.worker_init = keep_host, .handle = handle);
