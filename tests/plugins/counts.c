/* Answers "pid thread requests threads-begun": the process and thread that serve this, and this worker's counts. */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared.h"

static atomic_long requests, threads;

static int thread_init(void *instance) {
  (void)instance;
  atomic_fetch_add(&threads, 1);
  return NARWHAL_OK;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  return answer(exchange, "%ld %ld %ld %ld", (long)getpid(), (long)syscall(SYS_gettid),
                atomic_fetch_add(&requests, 1) + 1, atomic_load(&threads));
}

PLUGIN(.worker_init = keep_host, .thread_init = thread_init, .handle = handle);
