/* Inline. Answers whether thread_init was called on the thread that handles the request, and how many it was called on. */
#include <stdatomic.h>

#include "shared.h"

static _Thread_local int initialised;
static atomic_int threads;

static int thread_init(void *instance) {
  (void)instance;
  initialised = 1;
  atomic_fetch_add(&threads, 1);
  return NARWHAL_OK;
}

static void thread_exit(void *instance) {
  (void)instance;
  initialised = 0;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%s %d", initialised ? "initialised" : "not initialised", atomic_load(&threads));
}

PLUGIN(.flags = NARWHAL_INLINE, .worker_init = keep_host, .thread_init = thread_init, .thread_exit = thread_exit,
       .handle = handle);
