/* Boots, then dies. Options:
 *   flag   worker_init crashes while the file of this name exists
 *   after  the worker aborts that many seconds after its init
 *   code   with it, the worker ends by exit() with this status instead
 * With neither flag nor after: 0.3 seconds. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "shared.h"

static double seconds;
static int code = -1;

static void *die(void *unused) {
  const struct timespec pause = {.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&pause, NULL);
  if (code >= 0) _exit(code);
  abort();
  return unused;
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  const char *flag = OPTION(boot, "flag");
  const char *after = OPTION(boot, "after");
  const char *code_text = OPTION(boot, "code");
  if (flag != NULL && access(flag, F_OK) == 0) abort();
  if (code_text != NULL) code = atoi(code_text);
  seconds = after != NULL ? atof(after) : 0.3;
  pthread_t thread;
  if ((flag == NULL || after != NULL) && pthread_create(&thread, NULL, die, NULL) != 0) {
    return boot_failed(boot, "no thread");
  }
  return keep_host(boot, instance);
}

static const narwhal_option options[] = {{"flag", "string", NULL, "crash in init while this file exists", 0},
                                         {"after", "float", NULL, "die that many seconds after init", 0},
                                         {"code", "int", NULL, "exit status to die with, in place of a crash", 0},
                                         {0}};

PLUGIN(.options = options, .worker_init = worker_init, .handle = answer_ok);
