/* Changes in its init what belongs to the server: signal actions and mask, working folder, umask. */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared.h"

static void nothing(int number) { (void)number; }

static int worker_init(const narwhal_boot *boot, void **instance) {
  sigset_t all;
  signal(SIGTERM, nothing);
  signal(SIGQUIT, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_DFL);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  umask(0);
  if (chdir("/") != 0) return boot_failed(boot, "chdir");
  return keep_host(boot, instance);
}

PLUGIN(.worker_init = worker_init, .handle = answer_ok);
