/*
 * narwhal/testing.h: a host for tests of a plugin, in C11: the C face of narwhal/testing.hpp, which says what it does.
 *
 *   #include <assert.h>
 *   #include <narwhal/testing.h>
 *   #include <string.h>
 *
 *   int main(void) {
 *     narwhal_test_worker *worker = narwhal_test_open(&narwhal_plugin_v1, NULL);
 *     assert(strcmp(narwhal_test_boot_error(worker), "") == 0);
 *     const narwhal_test_answer *answer = narwhal_test_get(worker, "/price/7");
 *     assert(narwhal_test_status(answer) == 200);
 *     assert(strcmp(narwhal_test_header(answer, "Content-Type"), "application/json") == 0);
 *     narwhal_test_close(worker);
 *     return 0;
 *   }
 *
 * Build      The functions are in a small static library, libnarwhal-testing.a, because there is one harness, in C++:
 *              cc -std=c11 shop_test.c shop.c $(pkg-config --cflags --libs narwhal-testing)
 *            Where it is not installed, compile narwhal/testing/c_face.cpp with the test.
 * Ownership  A worker owns its clients and answers; all are freed by narwhal_test_close(). Arguments are copied.
 * Breaches   What the plugin does against plugin.h is written down. A breach that nobody has taken is printed by
 *            narwhal_test_close(), which then aborts, or is given to the function of narwhal_test_on_breach().
 * Errors     A request to a worker that has not booted, or no memory: a line on stderr, and abort().
 * Threads    All functions are for the test's thread.
 */
#ifndef NARWHAL_TESTING_H
#define NARWHAL_TESTING_H

#include <narwhal/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The plugin that is linked into the test, if one is. */
extern const narwhal_plugin narwhal_plugin_v1;

typedef struct narwhal_test_worker narwhal_test_worker; /* one worker with one instance of the plugin */
typedef struct narwhal_test_client narwhal_test_client; /* a client in the middle of its request */
typedef struct narwhal_test_answer narwhal_test_answer; /* what it has got */

/* A name and a value; a list of them ends with a name of NULL. */
typedef struct narwhal_test_pair {
  const char *name;
  const char *value;
} narwhal_test_pair;

/* How a worker is set up. Every member may be 0 or NULL. */
typedef struct narwhal_test_settings {
  const narwhal_test_pair *options;
  const char *prefix;     /* where the plugin is mounted: NULL is the root */
  unsigned threads;       /* handler threads; 0: one */
  int preload;            /* call preload() first */
  unsigned timeout_ms;    /* for each request; 0: none */
  unsigned patience_ms;   /* how long the harness waits for something to happen; 0: ten seconds */
  size_t response_buffer; /* bytes that a client has not read before a write waits; 0: 256 KiB */
} narwhal_test_settings;

/* What a client sends. Every member may be 0 or NULL: a GET of "/". */
typedef struct narwhal_test_request {
  const char *method;
  const char *target;
  narwhal_bytes body;
  const narwhal_test_pair *headers;
  const char *protocol;   /* NULL: "HTTP/1.1" */
  int chunked;            /* the length of the body is not declared */
  int body_follows;       /* more of it comes by narwhal_test_send_body(), until narwhal_test_end_body() */
  int body_in_file;       /* body_fd() gives a descriptor */
  size_t leaves_at_write; /* the client leaves at this call of write(), from 1 on; 0: never */
  size_t slow_at_write;   /* the client is slow from this call of write() on; 0: never */
  size_t no_memory_at;    /* memory is out from this call on that needs it, from 1 on; 0: never */
} narwhal_test_request;

/* ---- a worker ---- */
/* `settings` may be NULL. Never NULL: narwhal_test_boot_error() says whether it has booted. */
narwhal_test_worker *narwhal_test_open(const narwhal_plugin *plugin, const narwhal_test_settings *settings);
narwhal_test_worker *narwhal_test_load(const char *file, const narwhal_test_settings *settings); /* "./shop.so" */
const char *narwhal_test_boot_error(const narwhal_test_worker *worker);                          /* "": it has booted */
void narwhal_test_drain(narwhal_test_worker *worker); /* calls the plugin's drain() */
/* The event loop makes the calls that were posted, and the timers fire that are due within this time, which is not waited
 * for. 0: the posted calls alone. */
void narwhal_test_pass_time(narwhal_test_worker *worker, uint64_t time_ms);
/* 1 when a line of the error log so far has this text in it. */
int narwhal_test_has_logged(const narwhal_test_worker *worker, const char *text);
/* Ends the worker, reports the breaches that nobody has taken, and frees everything. */
void narwhal_test_close(narwhal_test_worker *worker);

/* ---- what narwhal/extensions.h has: all workers of the test program share it. 0: there is none of this name ---- */
/* The value of a counter or gauge, the sum of a histogram. `labels` as the plugin gave them; NULL: none. */
double narwhal_test_metric(const char *name, const char *labels);
uint64_t narwhal_test_observations(const char *histogram, const char *labels); /* how many values it has got */
int64_t narwhal_test_shared_number(const char *name);

/* ---- requests: the whole answer is waited for ---- */
const narwhal_test_answer *narwhal_test_get(narwhal_test_worker *worker, const char *target);
const narwhal_test_answer *narwhal_test_send(narwhal_test_worker *worker, const narwhal_test_request *request);

/* ---- or step by step ---- */
narwhal_test_client *narwhal_test_begin(narwhal_test_worker *worker, const narwhal_test_request *request);
void narwhal_test_send_body(narwhal_test_client *client, narwhal_bytes bytes);
void narwhal_test_end_body(narwhal_test_client *client);
void narwhal_test_stop_reading(narwhal_test_client *client);
void narwhal_test_read_on(narwhal_test_client *client);
void narwhal_test_leave(narwhal_test_client *client);
void narwhal_test_pass_deadline(narwhal_test_client *client);
/* 1: it has come to that within `limit_ms`. */
int narwhal_test_wait_for_body(narwhal_test_client *client, size_t bytes, unsigned limit_ms);
int narwhal_test_wait_for_return(narwhal_test_client *client, unsigned limit_ms);
const narwhal_test_answer *narwhal_test_so_far(narwhal_test_client *client);
const narwhal_test_answer *narwhal_test_answer_of(narwhal_test_client *client); /* waits for all of it */

/* ---- an answer ---- */
int narwhal_test_code(const narwhal_test_answer *answer);     /* what handle() returned */
int narwhal_test_status(const narwhal_test_answer *answer);   /* 0: the client has got no head */
int narwhal_test_complete(const narwhal_test_answer *answer); /* 1: the client has all of it */
int narwhal_test_cut(const narwhal_test_answer *answer);      /* 1: it was cut off */
narwhal_bytes narwhal_test_body(const narwhal_test_answer *answer);
/* NULL: there is none of this name. */
const char *narwhal_test_header(const narwhal_test_answer *answer, const char *name);
const char *narwhal_test_trailer(const narwhal_test_answer *answer, const char *name);
const char *narwhal_test_log_value(const narwhal_test_answer *answer, const char *name);
size_t narwhal_test_interim_count(const narwhal_test_answer *answer);
int narwhal_test_interim_status(const narwhal_test_answer *answer, size_t index);
const char *narwhal_test_reason(const narwhal_test_answer *answer); /* of fail(), or the host's own for a 500 */

/* ---- breaches ---- */
size_t narwhal_test_breach_count(const narwhal_test_worker *worker);
/* Valid until the next call for this worker. NULL: there are not so many. */
const char *narwhal_test_breach(narwhal_test_worker *worker, size_t index);
/* They were meant, and do not fail the test. */
void narwhal_test_take_breaches(narwhal_test_worker *worker);
/* What narwhal_test_close() does with each breach that is left, in place of abort(). NULL: abort() again. */
void narwhal_test_on_breach(void (*handler)(const char *breach));

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
