/* ?ms=N sleeps in the handler. Answers "begun done" as this worker has counted them, this request included. With
 * begin=1 half of the answer comes before the sleep, and the rest after it. With deaf=N the thread first takes no signals
 * for N ms. */
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static atomic_long begun, done;

static void sleep_ms(long ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void take_no_signals(long ms) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  sleep_ms(ms);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  const long ms = query_number(exchange, "ms", 0);
  const long deaf = query_number(exchange, "deaf", 0);
  atomic_fetch_add(&begun, 1);
  if (deaf != 0) take_no_signals(deaf);
  if (query_number(exchange, "begin", 0) == 1) {
    const narwhal_response head = {.struct_size = sizeof head, .status = 200, .body_size = 8};
    host->start(exchange, &head);
    host->write(exchange, NARWHAL_LITERAL("half"), 0);
    sleep_ms(ms);
    host->write(exchange, NARWHAL_LITERAL("full"), 0);
    return host->finish(exchange);
  }
  sleep_ms(ms);
  const long now = atomic_fetch_add(&done, 1) + 1;
  return answer(exchange, "%ld %ld", atomic_load(&begun), now);
}

PLUGIN(.worker_init = keep_host, .handle = handle);
