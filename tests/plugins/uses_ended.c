/* Keeps the handle of a request after its end, and calls the host with it.
 * /keep      answers, and keeps the handle; end=return (the default): used after handle() has returned; end=defer: the request
 *            is deferred, and has been ended by respond() on another thread.
 * /use       call=NAME with the kept handle, most probably while this very request has its memory; answers "NAME CODE".
 * /other     the same from a thread of its own, again and again for ms=MS, while other requests run.
 * /unended   start() and write() without finish(). */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "shared.h"

static _Atomic(narwhal_exchange *) kept;
static atomic_int released;

static void count_release(void *argument) {
  (void)argument;
  ++released;
}

static const narwhal_response stray = {
    .struct_size = sizeof stray, .status = 200, .body = {"STRAY", 5}, .body_size = -1, .release = count_release};

typedef struct {
  const char *name;
  long (*call)(narwhal_exchange *);
} use;

static long use_request(narwhal_exchange *e) { return host->request(e)->path.size == 0 ? NARWHAL_STATE : 0; }
static long use_header(narwhal_exchange *e) {
  return host->header(e, NARWHAL_LITERAL("Host")).data ? 0 : NARWHAL_STATE;
}
static long use_variable(narwhal_exchange *e) {
  return host->variable(e, NARWHAL_LITERAL("REQUEST_METHOD")).data ? 0 : NARWHAL_STATE;
}
static long use_body(narwhal_exchange *e) { return host->body(e, &(narwhal_bytes){NULL, 0}); }
static long use_body_fd(narwhal_exchange *e) { return host->body_fd(e) == -1 ? NARWHAL_STATE : 0; }
static long use_read_body(narwhal_exchange *e) { return (long)host->read_body(e, (char[8]){0}, 8); }
static long use_alloc(narwhal_exchange *e) { return host->alloc(e, 8) == NULL ? NARWHAL_STATE : 0; }
static long use_user(narwhal_exchange *e) {
  host->set_user(e, e);
  return host->user(e) == NULL ? NARWHAL_STATE : 0;
}
static long use_gone(narwhal_exchange *e) { return host->gone(e) ? NARWHAL_STATE : 0; }
static long use_respond(narwhal_exchange *e) { return host->respond(e, &stray); }
static long use_start(narwhal_exchange *e) { return host->start(e, &stray); }
static long use_write(narwhal_exchange *e) { return host->write(e, stray.body, 0); }
static long use_write_lent(narwhal_exchange *e) {
  const int before = released;
  const int code = host->write_lent(e, stray.body, 0, count_release, NULL);
  return released == before + 1 ? code : 0;
}
static long use_send_file(narwhal_exchange *e) { return host->send_file(e, 0, 0, 0); }
static long use_finish(narwhal_exchange *e) { return host->finish(e); }
static long use_fail(narwhal_exchange *e) { return host->fail(e, 503, stray.body); }
static long use_inform(narwhal_exchange *e) { return host->inform(e, 103, NULL, 0); }
static long use_trailers(narwhal_exchange *e) { return host->trailers(e, NULL, 0); }
static long use_flush(narwhal_exchange *e) {
  host->flush(e);
  return NARWHAL_STATE;
}
static long use_log_value(narwhal_exchange *e) { return host->log_value(e, stray.body, stray.body); }

static const use uses[] = {{"request", use_request},
                           {"header", use_header},
                           {"variable", use_variable},
                           {"body", use_body},
                           {"body_fd", use_body_fd},
                           {"read_body", use_read_body},
                           {"alloc", use_alloc},
                           {"user", use_user},
                           {"gone", use_gone},
                           {"respond", use_respond},
                           {"start", use_start},
                           {"write", use_write},
                           {"write_lent", use_write_lent},
                           {"send_file", use_send_file},
                           {"finish", use_finish},
                           {"fail", use_fail},
                           {"inform", use_inform},
                           {"trailers", use_trailers},
                           {"flush", use_flush},
                           {"log_value", use_log_value}};
enum { use_count = sizeof uses / sizeof uses[0] };

static int query_has(narwhal_exchange *exchange, const char *text) {
  const narwhal_bytes query = host->request(exchange)->query;
  return query.size != 0 && memmem(query.data, query.size, text, strlen(text)) != NULL;
}

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static void *respond_later(void *exchange) {
  sleep_ms(20);
  answer(exchange, "kept");
  return NULL;
}

static void *use_for_a_while(void *ms) {
  for (long turn = 0; turn < (long)ms; ++turn) {
    for (int i = 0; i < use_count; ++i) uses[i].call(kept);
    sleep_ms(1);
  }
  return NULL;
}

static int begin(void *(*run)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) return NARWHAL_ERROR;
  return pthread_detach(thread) == 0 ? NARWHAL_OK : NARWHAL_ERROR;
}

static int use_one(narwhal_exchange *exchange) {
  for (int i = 0; i < use_count; ++i) {
    char wanted[40];
    snprintf(wanted, sizeof wanted, "call=%s.", uses[i].name);
    if (!query_has(exchange, wanted)) continue;
    const long code = uses[i].call(kept);
    return answer(exchange, "%s %ld", uses[i].name, code);
  }
  return NARWHAL_ERROR;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/use")) return use_one(exchange);
  if (path_is(exchange, "/keep")) {
    kept = exchange;
    if (!query_has(exchange, "end=defer")) return answer(exchange, "kept");
    return begin(respond_later, exchange) == NARWHAL_OK ? NARWHAL_DEFERRED : NARWHAL_ERROR;
  }
  if (path_is(exchange, "/other")) {
    begin(use_for_a_while, (void *)query_number(exchange, "ms", 100));
    return answer(exchange, "begun");
  }
  if (path_is(exchange, "/unended")) {
    const narwhal_response head = {
        .struct_size = sizeof head, .status = 200, .body_size = query_number(exchange, "size", -1)};
    host->start(exchange, &head);
    host->write(exchange, NARWHAL_LITERAL("some"), 0);
    return NARWHAL_OK;
  }
  if (path_is(exchange, "/names")) {
    char text[400];
    int size = 0;
    for (int i = 0; i < use_count; ++i) size += snprintf(text + size, sizeof text - (size_t)size, "%s ", uses[i].name);
    return answer(exchange, "%s", text);
  }
  sleep_ms(query_number(exchange, "wait", 0));
  return answer(exchange, "path %.*s", (int)host->request(exchange)->target.size, host->request(exchange)->target.data);
}

PLUGIN(.worker_init = keep_host, .handle = handle);
