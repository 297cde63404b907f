/* Calls on threads that the tags in plugin.h do not allow, by the request's path. In worker_init() another thread asks for an
 * option. Each must be reported in the log, and none may harm the worker.
 *   /flush    another thread calls flush() while handle() runs
 *   /read     two threads are in read_body() at once; "5" bytes are read by both together
 *   /memory   two threads call alloc() and variable() until both have been at it for a while; "whole": no result was wrong
 *   /left     another thread asks left_at_once()
 */
#include <pthread.h>
#include <stdint.h>

#include "shared.h"

static void on_another_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) == 0) pthread_join(thread, NULL);
}

static void *ask_for_option(void *boot) {
  const narwhal_boot *asked = boot;
  return asked->option(asked, "size").data != NULL ? boot : NULL;
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  on_another_thread(ask_for_option, (void *)boot);
  return keep_host(boot, instance);
}

static void *flush(void *exchange) {
  host->flush(exchange);
  return NULL;
}

static void *read_all(void *exchange) {
  char buffer[64];
  intptr_t size = 0;
  for (int64_t got; (got = host->read_body(exchange, buffer, sizeof buffer)) > 0;) size += (intptr_t)got;
  return (void *)size;
}

static int read_by_two(narwhal_exchange *exchange) {
  pthread_t other;
  void *size = NULL;
  if (pthread_create(&other, NULL, read_all, exchange) != 0) return NARWHAL_ERROR;
  const intptr_t own = (intptr_t)read_all(exchange);
  pthread_join(other, &size);
  return answer(exchange, "%ld", (long)(own + (intptr_t)size));
}

static void *use_memory(void *exchange) {
  const narwhal_bytes name = NARWHAL_LITERAL("REQUEST_METHOD");
  for (int i = 0; i < 200000; ++i) {
    const narwhal_bytes method = host->variable(exchange, name);
    if (method.size != 3 || memcmp(method.data, "GET", 3) != 0) return exchange;
    if (i % 64 == 0 && host->alloc(exchange, 16) == NULL) return exchange;
  }
  return NULL;
}

static int use_memory_by_two(narwhal_exchange *exchange) {
  pthread_t other;
  void *wrong = NULL;
  if (pthread_create(&other, NULL, use_memory, exchange) != 0) return NARWHAL_ERROR;
  const void *own = use_memory(exchange);
  pthread_join(other, &wrong);
  return answer(exchange, own == NULL && wrong == NULL ? "whole" : "wrong");
}

static void *ask_how_it_leaves(void *exchange) { return host->left_at_once() ? exchange : NULL; }

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/read")) return read_by_two(exchange);
  if (path_is(exchange, "/memory")) return use_memory_by_two(exchange);
  if (path_is(exchange, "/flush")) on_another_thread(flush, exchange);
  if (path_is(exchange, "/left")) on_another_thread(ask_how_it_leaves, exchange);
  return answer(exchange, "ok");
}

static const narwhal_option options[] = {{"size", "int", "1", NULL, 0}, {0}};

PLUGIN(.flags = NARWHAL_STREAM_BODY, .options = options, .worker_init = worker_init, .handle = handle);
