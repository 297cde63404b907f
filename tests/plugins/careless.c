/* Answers in parts (lent, copied and borrowed ones), /once in one call, and never looks at what the calls return: the
 * host alone must make the best of a failure. wait=MS: occupies its thread for MS milliseconds first; later=1:
 * deferred, from a thread of its own. /held: how much of what it has lent was not released. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static char part[6000], whole[40000];
static atomic_int held;

static void give_back(void *argument) {
  (void)argument;
  --held;
}

static void answer_once(narwhal_exchange *exchange) {
  const narwhal_response response = {.struct_size = sizeof response,
                                     .status = 200,
                                     .body = {whole, sizeof whole},
                                     .release = give_back,
                                     .release_arg = whole};
  ++held;
  host->respond(exchange, &response);
}

static void answer_in_parts(narwhal_exchange *exchange) {
  const narwhal_response response = {.struct_size = sizeof response, .status = 200, .body_size = -1};
  host->start(exchange, &response);
  for (int count = 0; count < 4; ++count) {
    ++held;
    host->write_lent(exchange, narwhal_bytes_of(part, sizeof part), 0, give_back, NULL);
    host->write(exchange, narwhal_bytes_of(part, 100), 0);
    host->write(exchange, narwhal_bytes_of(part, sizeof part), 0);
  }
  if (host->finish(exchange) == NARWHAL_STATE) host->fail(exchange, 500, NARWHAL_LITERAL("not begun"));
}

static void *answer_it(void *exchange) {
  path_is(exchange, "/once") ? answer_once(exchange) : answer_in_parts(exchange);
  return NULL;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/held")) return answer(exchange, "%d", held);
  memset(part, 'p', sizeof part);
  memset(whole, 'w', sizeof whole);
  const long wait_ms = query_number(exchange, "wait", 0);
  if (wait_ms != 0) nanosleep(&(struct timespec){0, wait_ms * 1000000}, NULL);
  if (query_number(exchange, "later", 0) == 0) return answer_it(exchange), NARWHAL_OK;
  pthread_t thread;
  if (pthread_create(&thread, NULL, answer_it, exchange) != 0) return NARWHAL_ERROR;
  pthread_detach(thread);
  return NARWHAL_DEFERRED;
}

PLUGIN(.worker_init = keep_host, .handle = handle);
