/* Its preload leaves a thread running, which is an error. With -DFORK_HOOKS it has before_fork and after_fork, so it is
 * not; it answers how often each was called, as this worker has inherited the counts. */
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
