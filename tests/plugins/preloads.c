/* Its preload hook runs in the template: answers "pid of preload, pid of init, pid now, calls of preload". It
 * fails where the environment has PRELOAD_FAILS. */
#include <unistd.h>

#include "shared.h"

static long preload_pid, init_pid, preloads;

static int preload(const narwhal_boot *boot, void **instance) {
  if (boot->worker != -1) return boot_failed(boot, "preload outside of the template");
  if (getenv("PRELOAD_FAILS") != NULL) return boot_failed(boot, "preload fails on purpose");
  preload_pid = getpid();
  ++preloads;
  *instance = &preload_pid;
  return NARWHAL_OK;
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  if (*instance != (preloads > 0 ? (void *)&preload_pid : NULL)) return boot_failed(boot, "not what preload left");
  init_pid = getpid();
  return keep_host(boot, instance);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%ld %ld %ld %ld", preload_pid, init_pid, (long)getpid(), preloads);
}

PLUGIN(.preload = preload, .worker_init = worker_init, .handle = handle);
