/* Its preload leaves a thread running. With -DFORK_HOOKS it hears of each fork, and answers how often before and after
 * one, as this worker has inherited that; else the thread is an error. */
#include <pthread.h>
#include <unistd.h>

#include "shared.h"

static int befores, afters;

static void *sleep_for_ever(void *unused) {
  for (;;) pause();
  return unused;
}

static int preload(const narwhal_boot *boot, void **instance) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0) return boot_failed(boot, "no thread");
  *instance = &befores;
  return NARWHAL_OK;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%d %d", befores, afters);
}

#ifdef FORK_HOOKS
static void before_fork(void *instance) { ++*(int *)instance; }
static void after_fork(void *instance) { afters += instance == &befores; }
PLUGIN(.preload = preload, .worker_init = keep_host, .handle = handle, .before_fork = before_fork,
       .after_fork = after_fork);
#else
PLUGIN(.preload = preload, .worker_init = keep_host, .handle = handle);
#endif
