/* Prints a line to standard output, and crashes on /crash. */
#include "shared.h"

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  printf("printed for %.*s\n", (int)host->request(exchange)->path.size, host->request(exchange)->path.data);
  if (path_is(exchange, "/crash")) abort();
  return answer(exchange, "ok");
}

PLUGIN(.worker_init = keep_host, .handle = handle);
