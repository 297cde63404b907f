/* worker_init fails: always, or, with NARWHAL_TEST_INIT_FAILS_IF in the environment, while the file it names exists. */
#include <unistd.h>

#include "shared.h"

static int worker_init(const narwhal_boot *boot, void **instance) {
  const char *flag = getenv("NARWHAL_TEST_INIT_FAILS_IF");
  if (flag == NULL || access(flag, F_OK) == 0) return boot_failed(boot, "init fails on purpose");
  return keep_host(boot, instance);
}

PLUGIN(.worker_init = worker_init, .handle = answer_ok);
