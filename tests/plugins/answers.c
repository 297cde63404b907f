/* Every kind of answer, one for each path; /codes answers what the host returned for the request before. It never reads
 * a body. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "shared.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char codes[512]; /* of the request before */

static int note(const char *call, int code) {
  pthread_mutex_lock(&lock);
  const size_t size = strlen(codes);
  snprintf(codes + size, sizeof codes - size, "%s%s %d", size != 0 ? ", " : "", call, code);
  pthread_mutex_unlock(&lock);
  return code;
}

static int tell_codes(narwhal_exchange *exchange) {
  pthread_mutex_lock(&lock);
  char text[sizeof codes];
  memcpy(text, codes, sizeof text);
  codes[0] = '\0';
  pthread_mutex_unlock(&lock);
  return answer(exchange, "%s", text);
}

static void wait_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static narwhal_bytes bytes(const char *text) { return narwhal_bytes_of(text, strlen(text)); }

/* NAME=VALUE in the query, up to the next '&', not decoded. */
static const char *query_text(narwhal_exchange *exchange, const char *name, char *room, size_t size) {
  const narwhal_bytes query = host->request(exchange)->query;
  const size_t name_size = strlen(name);
  for (size_t at = 0; at + name_size < query.size; ++at) {
    const int starts = at == 0 || query.data[at - 1] == '&';
    if (!starts || memcmp(query.data + at, name, name_size) != 0 || query.data[at + name_size] != '=') continue;
    const char *value = query.data + at + name_size + 1;
    const size_t left = query.size - (at + name_size + 1);
    const char *end = memchr(value, '&', left);
    snprintf(room, size, "%.*s", (int)(end != NULL ? (size_t)(end - value) : left), value);
    return room;
  }
  return NULL;
}

static int inform(narwhal_exchange *exchange, int status, const char *name, const char *value) {
  const narwhal_field field = {bytes(name), bytes(value)};
  return note("inform", host->inform(exchange, status, &field, 1));
}

static int start(narwhal_exchange *exchange, long size, const char *name, const char *value) {
  const narwhal_field field = {bytes(name != NULL ? name : ""), bytes(value != NULL ? value : "")};
  const narwhal_response head = {.struct_size = sizeof head,
                                 .status = (int)query_number(exchange, "status", 200),
                                 .field_count = name != NULL,
                                 .fields = &field,
                                 .body_size = size};
  return note("start", host->start(exchange, &head));
}

static int write_text(narwhal_exchange *exchange, const char *text) {
  return note("write", host->write(exchange, bytes(text), 0));
}

static int finish(narwhal_exchange *exchange) { return note("finish", host->finish(exchange)); }

/* size=N is body_size (-1), cl=TEXT a Content-Length field, body=TEXT what is written, in two pieces. */
static int framed(narwhal_exchange *exchange) {
  char length[64], body[256];
  const char *field = query_text(exchange, "cl", length, sizeof length);
  const char *text = query_text(exchange, "body", body, sizeof body);
  if (start(exchange, query_number(exchange, "size", -1), field != NULL ? "Content-Length" : NULL, field) != NARWHAL_OK)
    return NARWHAL_ERROR;
  if (text != NULL && *text != '\0') {
    const char first[2] = {text[0], '\0'};
    write_text(exchange, first);
    if (text[1] != '\0') write_text(exchange, text + 1);
  }
  return finish(exchange) == NARWHAL_OK ? NARWHAL_OK : NARWHAL_ERROR;
}

/* The same in one call, with cl=TEXT and body=TEXT. */
static int whole(narwhal_exchange *exchange) {
  char length[64], body[256];
  const char *value = query_text(exchange, "cl", length, sizeof length);
  const char *text = query_text(exchange, "body", body, sizeof body);
  const narwhal_field field = {NARWHAL_LITERAL("Content-Length"), bytes(value != NULL ? value : "")};
  const narwhal_response response = {.struct_size = sizeof response,
                                     .status = (int)query_number(exchange, "status", 200),
                                     .field_count = value != NULL,
                                     .fields = &field,
                                     .body = bytes(text != NULL ? text : "")};
  return note("respond", host->respond(exchange, &response));
}

/* file=PATH, offset=N, length=N; how=bad|pipe|folder|writeonly: another descriptor; shrink=N: the file is cut to N
 * bytes when the head is out. */
static int file(narwhal_exchange *exchange) {
  char path[256] = "", how[16] = "";
  query_text(exchange, "file", path, sizeof path);
  query_text(exchange, "how", how, sizeof how);
  int ends[2] = {-1, -1};
  int fd = -1;
  if (strcmp(how, "pipe") == 0) {
    if (pipe(ends) != 0) return NARWHAL_ERROR;
    fd = ends[0];
  } else if (strcmp(how, "folder") == 0) {
    fd = open("/", O_RDONLY | O_DIRECTORY);
  } else if (strcmp(how, "writeonly") == 0) {
    fd = open(path, O_WRONLY);
  } else if (strcmp(how, "bad") != 0) {
    fd = open(path, O_RDONLY);
  }
  const long length = query_number(exchange, "length", 0);
  start(exchange, query_number(exchange, "size", length), NULL, NULL);
  int code = note("send_file", host->send_file(exchange, fd, query_number(exchange, "offset", 0), length));
  const long shrink = query_number(exchange, "shrink", -1);
  if (shrink >= 0 && truncate(path, shrink) != 0) code = NARWHAL_ERROR;
  if (fd >= 0) close(fd);
  if (ends[1] >= 0) close(ends[1]);
  if (finish(exchange) != NARWHAL_OK || code != NARWHAL_OK) return NARWHAL_ERROR;
  return NARWHAL_OK;
}

/* ---- interim answers ---- */
static int informs(narwhal_exchange *exchange) {
  inform(exchange, 103, "Link", "</one.css>");
  inform(exchange, 102, "X-At", "half");
  wait_ms(query_number(exchange, "ms", 0)); /* long enough for another thread to take the loop */
  inform(exchange, 103, "Link", "</two.css>");
  return 0;
}

static void *inform_later(void *exchange) {
  wait_ms(20); /* by now handle() has returned, most likely */
  informs(exchange);
  const int wait = (int)query_number(exchange, "silent", 0);
  if (wait != 0) wait_ms(wait);
  answer(exchange, "late");
  return NULL;
}

static int inform_wrongly(narwhal_exchange *exchange) {
  inform(exchange, 100, "X", "a");
  inform(exchange, 101, "X", "a");
  inform(exchange, 200, "X", "a");
  inform(exchange, 103, "X\r\nForged", "a");
  inform(exchange, 103, "X-Forged", "a\r\nb: c");
  inform(exchange, 103, "", "a");
  inform(exchange, 103, "Content-Length", "5"); /* dropped, the rest is sent */
  start(exchange, 2, NULL, NULL);
  inform(exchange, 103, "X", "too late");
  write_text(exchange, "ok");
  const int code = finish(exchange);
  return code;
}

/* ---- trailers ---- */
static int trailer(narwhal_exchange *exchange, const char *name, const char *value) {
  const narwhal_field field = {bytes(name), bytes(value)};
  return note("trailers", host->trailers(exchange, &field, 1));
}

static int trailers(narwhal_exchange *exchange) {
  trailer(exchange, "X-Early", "1");
  start(exchange, query_number(exchange, "size", -1), "Trailer", "X-Sum, X-More");
  trailer(exchange, "X-Sum", "before the body");
  write_text(exchange, "body");
  trailer(exchange, "X-More", "after it");
  trailer(exchange, "Content-Length", "9");
  trailer(exchange, "X-Forged", "a\r\nX-B: c");
  finish(exchange);
  return NARWHAL_OK;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/codes")) return tell_codes(exchange);
  if (path_is(exchange, "/framed")) return framed(exchange);
  if (path_is(exchange, "/whole")) return whole(exchange);
  if (path_is(exchange, "/file")) return file(exchange);
  if (path_is(exchange, "/inform-wrongly")) return inform_wrongly(exchange);
  if (path_is(exchange, "/trailers")) return trailers(exchange);
  if (path_is(exchange, "/inform")) {
    informs(exchange);
    return answer(exchange, "now");
  }
  if (path_is(exchange, "/inform-and-fail")) {
    informs(exchange);
    return NARWHAL_ERROR;
  }
  if (path_is(exchange, "/inform-later")) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, inform_later, exchange) != 0) return NARWHAL_ERROR;
    pthread_detach(thread);
    return NARWHAL_DEFERRED;
  }
  return answer(exchange, "?");
}

static void cancel(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  (void)exchange;
}

#ifndef FLAGS
#define FLAGS 0
#endif
PLUGIN(.flags = FLAGS, .worker_init = keep_host, .handle = handle, .cancel = cancel);
