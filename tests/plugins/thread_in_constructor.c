/* Starts a thread as soon as it is loaded, which happens in the template: the thread would not survive the fork. */
#include <pthread.h>
#include <unistd.h>

#include "shared.h"

static void *work(void *unused) {
  for (;;) pause();
  return unused;
}

__attribute__((constructor)) static void loaded(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, work, NULL);
}

PLUGIN(.worker_init = keep_host, .handle = answer_ok);
