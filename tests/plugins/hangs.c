/* Its hooks on the event loop hang, by the request's path:
 *   /sleep     logs "sleeps", and sleeps for ?ms=N in its handler, which is right    /handler  hangs in its handler
 *   /post      posts a call that hangs           /timer   starts a timer that hangs
 *   /defer     is deferred and logs "deferred"; cancel() hangs when its client has gone
 *   /room      is deferred and logs "deferred" when its client has taken nothing for a while; writable() hangs
 *   /drain     from now on, drain() hangs        /deaf    the same, and takes no signals
 *   /crash     from now on, drain() crashes      /exit    from now on, worker_exit() hangs
 *   /leave     from now on, drain() calls exit(0)
 *   /loop      makes the event loop hang in no hook: its thread is interrupted by a signal
 * slow() and stuck() hang with the option limits. With the option inline, handlers run on the event loop's thread. */
#include <narwhal/extensions.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "shared.h"

static const narwhal_loop *loop;
static enum { AS_IT_SHOULD, HANGS, IS_DEAF, CRASHES, EXITS } volatile drains;
static int limits_hang;
static int *volatile nowhere;
static volatile int exit_hangs;
static pthread_t loop_thread;
static atomic_int loop_thread_is_known;

__attribute__((noinline)) static void hang(void) {
  for (;;) pause();
}

static void hang_in_call(void *unused) {
  (void)unused;
  hang();
}

static void hang_at(int number) {
  (void)number;
  hang();
}

static void note_thread(void *unused) {
  (void)unused;
  loop_thread = pthread_self();
  atomic_store(&loop_thread_is_known, 1);
}

static void sleep_ms(long ms) {
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0) { /* a signal */
  }
}

static void say(const char *text) { host->log(NARWHAL_LOG_INFO, narwhal_bytes_of(text, strlen(text))); }

/* The posted call runs when another thread has taken the loop over, and it has it as long as nothing else comes. */
static void interrupt_loop(void) {
  signal(SIGRTMIN + 7, hang_at);
  loop->post(note_thread, NULL);
  while (!atomic_load(&loop_thread_is_known)) sleep_ms(1);
  sleep_ms(100); /* the call has returned */
  pthread_kill(loop_thread, SIGRTMIN + 7);
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  loop = boot->host->get_extension(NARWHAL_LOOP);
  limits_hang = strcmp(OPTION(boot, "limits"), "true") == 0;
  if (strcmp(OPTION(boot, "inline"), "true") == 0) boot->set_flags(boot, NARWHAL_INLINE);
  return keep_host(boot, instance);
}

static void send_too_much(narwhal_exchange *exchange) {
  static char block[64 * 1024];
  const narwhal_response head = {.struct_size = sizeof head, .status = 200, .body_size = -1};
  host->start(exchange, &head);
  while (host->write(exchange, narwhal_bytes_of(block, sizeof block), NARWHAL_NOWAIT) == NARWHAL_OK) {
  }
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/sleep")) {
    say("sleeps");
    sleep_ms(query_number(exchange, "ms", 0));
  }
  if (path_is(exchange, "/handler")) hang();
  if (path_is(exchange, "/post")) loop->post(hang_in_call, NULL);
  if (path_is(exchange, "/timer")) loop->start_timer(1000000, 0, hang_in_call, NULL);
  if (path_is(exchange, "/room")) send_too_much(exchange);
  if (path_is(exchange, "/defer") || path_is(exchange, "/room")) {
    say("deferred");
    return NARWHAL_DEFERRED;
  }
  if (path_is(exchange, "/drain")) drains = HANGS;
  if (path_is(exchange, "/deaf")) drains = IS_DEAF;
  if (path_is(exchange, "/crash")) drains = CRASHES;
  if (path_is(exchange, "/leave")) drains = EXITS;
  if (path_is(exchange, "/exit")) exit_hangs = 1;
  if (path_is(exchange, "/loop")) interrupt_loop();
  return answer(exchange, "ok");
}

/* The crash is wanted: UBSan would only report it. */
__attribute__((no_sanitize("undefined"))) static void drain(void *instance) {
  (void)instance;
  if (drains == CRASHES) *nowhere = 1;
  if (drains == EXITS) exit(0);
  if (drains == IS_DEAF) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
  }
  if (drains != AS_IT_SHOULD) hang();
}

static void hang_for(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  (void)exchange;
  hang();
}

static void pass_limit(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  (void)exchange;
  if (limits_hang) hang();
}

static void worker_exit(void *instance) {
  (void)instance;
  if (exit_hangs) hang();
}

static const narwhal_option options[] = {
    {"limits", "bool", "false", "slow() and stuck() hang", 0}, {"inline", "bool", "false", "NARWHAL_INLINE", 0}, {0}};

PLUGIN(.options = options, .worker_init = worker_init, .handle = handle, .cancel = hang_for, .drain = drain,
       .worker_exit = worker_exit, .slow = pass_limit, .stuck = pass_limit, .writable = hang_for);
