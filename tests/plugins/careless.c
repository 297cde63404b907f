/* Writes its answer in parts (copied, borrowed and lent ones) and never asks whether that went well: what becomes of it is
 * the host's affair alone. wait=MS: first it keeps its thread for so long. /held: how many lent parts have not come back. */
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static char part[6000];
static atomic_int held;

static void give_back(void *argument) {
  (void)argument;
  --held;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/held")) return answer(exchange, "%d", held);
  const long wait_ms = query_number(exchange, "wait", 0);
  if (wait_ms != 0) nanosleep(&(struct timespec){0, wait_ms * 1000000}, NULL);
  memset(part, 'p', sizeof part);
  const narwhal_response response = {.struct_size = sizeof response, .status = 200, .body_size = -1};
  host->start(exchange, &response);
  for (int count = 0; count < 4; ++count) {
    ++held;
    host->write_lent(exchange, narwhal_bytes_of(part, sizeof part), 0, give_back, NULL);
    host->write(exchange, narwhal_bytes_of(part, 100), 0);
    host->write(exchange, narwhal_bytes_of(part, sizeof part), 0);
  }
  host->finish(exchange);
  return NARWHAL_OK;
}

PLUGIN(.worker_init = keep_host, .handle = handle);
