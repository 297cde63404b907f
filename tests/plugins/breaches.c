/* One breach of the contract for each path; /names lists them. Where the breach leaves the response to the plugin, it answers
 * with the code of the call that should have been refused. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "shared.h"

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static const narwhal_field no_field = {{NULL, 0}, {NULL, 0}};

static narwhal_response response_of(int status, int64_t size) {
  return (narwhal_response){.struct_size = sizeof(narwhal_response),
                            .status = status,
                            .fields = &no_field,
                            .body = NARWHAL_LITERAL("first"),
                            .body_size = size};
}

static int say(narwhal_exchange *e, long code) { return answer(e, "%ld", code); }
static int respond(narwhal_exchange *e) { return answer(e, "first"); }

static int start(narwhal_exchange *e, int64_t size) {
  const narwhal_response head = response_of(200, size);
  return host->start(e, &head);
}

/* Sends the code as the body of a response that was begun without a length. */
static int say_in_body(narwhal_exchange *e, long code) {
  char text[24];
  host->write(e, narwhal_bytes_of(text, (size_t)snprintf(text, sizeof text, "%ld", code)), 0);
  return host->finish(e);
}

static int refused_field(narwhal_exchange *e, narwhal_bytes name, narwhal_bytes value) {
  const narwhal_field field = {name, value};
  narwhal_response response = response_of(200, 0);
  response.field_count = 1;
  response.fields = &field;
  return say(e, host->respond(e, &response));
}

/* ---- twice, too early, too late ---- */
static int respond_twice(narwhal_exchange *e) { return respond(e), respond(e), NARWHAL_OK; }
static int start_twice(narwhal_exchange *e) { return start(e, -1), say_in_body(e, start(e, -1)); }
static int start_after_respond(narwhal_exchange *e) { return respond(e), start(e, -1), NARWHAL_OK; }
static int respond_after_start(narwhal_exchange *e) { return start(e, -1), say_in_body(e, respond(e)); }
static int write_before_start(narwhal_exchange *e) { return say(e, host->write(e, NARWHAL_LITERAL("x"), 0)); }
static int write_after_finish(narwhal_exchange *e) {
  return start(e, -1), say_in_body(e, 0), host->write(e, NARWHAL_LITERAL("x"), 0), NARWHAL_OK;
}
static int finish_before_start(narwhal_exchange *e) { return say(e, host->finish(e)); }
static int finish_twice(narwhal_exchange *e) { return start(e, -1), say_in_body(e, 0), host->finish(e), NARWHAL_OK; }
static int fail_after_respond(narwhal_exchange *e) {
  return respond(e), host->fail(e, 500, NARWHAL_LITERAL("late")), NARWHAL_OK;
}
static int inform_after_start(narwhal_exchange *e) {
  return start(e, -1), say_in_body(e, host->inform(e, 103, NULL, 0));
}
static int trailers_before_start(narwhal_exchange *e) { return say(e, host->trailers(e, NULL, 0)); }
static int trailers_after_finish(narwhal_exchange *e) {
  return start(e, -1), say_in_body(e, 0), host->trailers(e, NULL, 0), NARWHAL_OK;
}
static int send_file_before_start(narwhal_exchange *e) { return say(e, host->send_file(e, 0, 0, 0)); }

/* ---- too much, too little ---- */
static int write_too_much(narwhal_exchange *e) {
  start(e, 2);
  const int code = host->write(e, NARWHAL_LITERAL("much"), 0);
  host->write(e, code == NARWHAL_STATE ? NARWHAL_LITERAL("-4") : NARWHAL_LITERAL("??"), 0);
  return host->finish(e);
}
static int finish_short(narwhal_exchange *e) {
  return start(e, 100), host->write(e, NARWHAL_LITERAL("some"), 0), host->finish(e);
}
static int no_finish(narwhal_exchange *e) {
  return start(e, -1), host->write(e, NARWHAL_LITERAL("some"), 0), NARWHAL_OK;
}
static int no_answer(narwhal_exchange *e) { return (void)e, NARWHAL_OK; }
static int odd_code(narwhal_exchange *e) { return (void)e, 7; }
static int never_ended(narwhal_exchange *e) { return (void)e, NARWHAL_DEFERRED; }
static int over_its_time(narwhal_exchange *e) { return sleep_ms(2500), respond(e); }

/* ---- what may not go on the wire ---- */
static int new_line_in_value(narwhal_exchange *e) {
  return refused_field(e, NARWHAL_LITERAL("X-A"), NARWHAL_LITERAL("a\r\nSet-Cookie: stolen=1"));
}
static int nul_in_value(narwhal_exchange *e) {
  return refused_field(e, NARWHAL_LITERAL("X-A"), NARWHAL_LITERAL("a\0b"));
}
static int space_in_name(narwhal_exchange *e) { return refused_field(e, NARWHAL_LITERAL("X A"), NARWHAL_LITERAL("a")); }
static int no_name(narwhal_exchange *e) { return refused_field(e, NARWHAL_LITERAL(""), NARWHAL_LITERAL("a")); }
static int odd_status(narwhal_exchange *e) {
  const narwhal_response response = response_of(99, 0);
  return say(e, host->respond(e, &response));
}
static int new_line_in_reason(narwhal_exchange *e) {
  narwhal_response response = response_of(200, 0);
  response.reason = NARWHAL_LITERAL("OK\nX-A: b");
  return say(e, host->respond(e, &response));
}
static int final_status_as_interim(narwhal_exchange *e) { return say(e, host->inform(e, 200, NULL, 0)); }

/* ---- arguments ---- */
static int no_struct_size(narwhal_exchange *e) {
  narwhal_response response = response_of(200, 0);
  response.struct_size = 0;
  return say(e, host->respond(e, &response));
}
static int unknown_flags(narwhal_exchange *e) {
  return start(e, -1), say_in_body(e, host->write(e, NARWHAL_LITERAL("x"), 0x80));
}
static int too_much_memory(narwhal_exchange *e) { return say(e, host->alloc(e, SIZE_MAX - 8) == NULL ? 0 : 1); }
static int send_a_folder(narwhal_exchange *e) {
  const int folder = open("/", O_RDONLY | O_CLOEXEC);
  start(e, -1);
  const int code = host->send_file(e, folder, 0, 10);
  close(folder);
  return say_in_body(e, code);
}
static int send_no_descriptor(narwhal_exchange *e) {
  return start(e, -1), say_in_body(e, host->send_file(e, -1, 0, 10));
}
static int send_beyond_the_file(narwhal_exchange *e) {
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  start(e, -1);
  const int code = host->send_file(e, file, 10, INT64_MAX);
  close(file);
  return say_in_body(e, code);
}
static int no_exchange(narwhal_exchange *e) {
  return say(e, host->write(NULL, NARWHAL_LITERAL("x"), 0) + 0 * (e == NULL));
}

/* ---- after its end ---- */
static void *use_late(void *exchange) {
  sleep_ms(30);
  for (int turn = 0; turn < 20; ++turn) {
    respond(exchange);
    start(exchange, -1);
    host->write(exchange, NARWHAL_LITERAL("STRAY"), 0);
    host->finish(exchange);
    sleep_ms(5);
  }
  return NULL;
}
static int used_by_a_thread_of_its_own(narwhal_exchange *e) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, use_late, e) != 0) return NARWHAL_ERROR;
  pthread_detach(thread);
  return respond(e);
}

static const struct {
  const char *path;
  int (*make)(narwhal_exchange *);
} breaches[] = {{"/respond_twice", respond_twice},
                {"/start_twice", start_twice},
                {"/start_after_respond", start_after_respond},
                {"/respond_after_start", respond_after_start},
                {"/write_before_start", write_before_start},
                {"/write_after_finish", write_after_finish},
                {"/finish_before_start", finish_before_start},
                {"/finish_twice", finish_twice},
                {"/fail_after_respond", fail_after_respond},
                {"/inform_after_start", inform_after_start},
                {"/trailers_before_start", trailers_before_start},
                {"/trailers_after_finish", trailers_after_finish},
                {"/send_file_before_start", send_file_before_start},
                {"/write_too_much", write_too_much},
                {"/finish_short", finish_short},
                {"/no_finish", no_finish},
                {"/no_answer", no_answer},
                {"/odd_code", odd_code},
                {"/never_ended", never_ended},
                {"/over_its_time", over_its_time},
                {"/new_line_in_value", new_line_in_value},
                {"/nul_in_value", nul_in_value},
                {"/space_in_name", space_in_name},
                {"/no_name", no_name},
                {"/odd_status", odd_status},
                {"/new_line_in_reason", new_line_in_reason},
                {"/final_status_as_interim", final_status_as_interim},
                {"/no_struct_size", no_struct_size},
                {"/unknown_flags", unknown_flags},
                {"/too_much_memory", too_much_memory},
                {"/send_a_folder", send_a_folder},
                {"/send_no_descriptor", send_no_descriptor},
                {"/send_beyond_the_file", send_beyond_the_file},
                {"/no_exchange", no_exchange},
                {"/used_by_a_thread_of_its_own", used_by_a_thread_of_its_own}};

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  char names[2000] = "";
  for (size_t i = 0; i < sizeof breaches / sizeof *breaches; ++i) {
    if (path_is(exchange, breaches[i].path)) return breaches[i].make(exchange);
    strcat(strcat(names, breaches[i].path), " ");
  }
  if (path_is(exchange, "/innocent")) return answer(exchange, "innocent");
  const narwhal_response response = {.struct_size = sizeof response, .status = 200, .body = {names, strlen(names)}};
  return host->respond(exchange, &response);
}

PLUGIN(.worker_init = keep_host, .handle = handle);
