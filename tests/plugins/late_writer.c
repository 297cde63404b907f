/* Defers, and writes from a thread of its own until long after the client has gone: every write after the first
 * NARWHAL_GONE must return the same. /stats answers "streams begun, streams ended, wrong answers after gone, cancels". */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static atomic_long begun, ended, wrong, cancels;

static void wait_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); }

static void *write_on(void *exchange) {
  char piece[4096];
  memset(piece, '.', sizeof piece);
  const narwhal_response head = {.struct_size = sizeof head, .status = 200, .body_size = -1};
  int code = host->start(exchange, &head);
  while (code == NARWHAL_OK || code == NARWHAL_AGAIN) {
    code = host->write(exchange, narwhal_bytes_of(piece, sizeof piece), NARWHAL_NOWAIT);
    wait_ms(1);
  }
  for (int i = 0; i < 200; ++i) {
    if (host->write(exchange, narwhal_bytes_of(piece, sizeof piece), i % 2 == 0 ? 0 : NARWHAL_NOWAIT) != NARWHAL_GONE ||
        host->gone(exchange) != 1) {
      atomic_fetch_add(&wrong, 1);
    }
    wait_ms(1);
  }
  host->finish(exchange);
  atomic_fetch_add(&ended, 1);
  return NULL;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/stats")) {
    return answer(exchange, "%ld %ld %ld %ld", atomic_load(&begun), atomic_load(&ended), atomic_load(&wrong),
                  atomic_load(&cancels));
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, write_on, exchange) != 0) return NARWHAL_ERROR;
  pthread_detach(thread);
  atomic_fetch_add(&begun, 1);
  return NARWHAL_DEFERRED;
}

static void cancel(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  (void)exchange;
  atomic_fetch_add(&cancels, 1);
}

PLUGIN(.worker_init = keep_host, .handle = handle, .cancel = cancel);
