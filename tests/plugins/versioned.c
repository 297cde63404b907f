/* Answers the text of `mark`, up to its first NUL. Tests make new code by patching a copy of the file. */
#include "shared.h"

static const char mark[32] = "version-mark-0000000000000000000";

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  const char *volatile at = mark; /* volatile: the compiler must not use the present content */
  return answer(exchange, "%.*s", (int)sizeof mark, at);
}

PLUGIN(.worker_init = keep_host, .handle = handle);
