/* Starts a thread in worker_init, as a plugin may. Answers how many rounds the thread has made. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static atomic_long rounds;

static void *work(void *unused) {
  for (;;) {
    atomic_fetch_add(&rounds, 1);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return unused;
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, NULL) != 0) return boot_failed(boot, "no thread");
  return keep_host(boot, instance);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%ld", atomic_load(&rounds));
}

PLUGIN(.worker_init = worker_init, .handle = handle);
