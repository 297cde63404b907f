/* Its preload leaves a thread running, which is an error. With -DFORK_HOOKS it has before_fork and after_fork, so it is
 * not; it answers how often each was called, as this worker has inherited the counts. Its template_exit logs that number;
 * with HANG_AT_EXIT in the environment it does not return. */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "shared.h"

static int befores, afters;

static void *sleep_for_ever(void *begun) {
  sem_post(begun);
  for (;;) pause();
  return begun;
}

static int preload(const narwhal_boot *boot, void **instance) {
  static sem_t begun;
  pthread_t thread;
  sem_init(&begun, 0, 0);
  if (pthread_create(&thread, NULL, sleep_for_ever, &begun) != 0) return boot_failed(boot, "no thread");
  // A sanitizer takes locks of its own while a thread begins: a fork at that moment would leave them locked in the worker.
  while (sem_wait(&begun) != 0) {
  }
  *instance = &befores;
  return keep_host(boot, instance);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%d %d", befores, afters);
}

#ifdef FORK_HOOKS
static void before_fork(void *instance) { ++*(int *)instance; }
static void after_fork(void *instance) { afters += instance == &befores; }
static void template_exit(void *instance) {
  char line[64];
  const int size = snprintf(line, sizeof line, "template_exit after %d forks", *(int *)instance);
  host->log(NARWHAL_LOG_INFO, narwhal_bytes_of(line, (size_t)size));
  while (getenv("HANG_AT_EXIT") != NULL) pause();
}
PLUGIN(.preload = preload, .worker_init = keep_host, .handle = handle, .before_fork = before_fork,
       .after_fork = after_fork, .template_exit = template_exit);
#else
PLUGIN(.preload = preload, .worker_init = keep_host, .handle = handle);
#endif
