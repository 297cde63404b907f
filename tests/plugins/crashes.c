/* Makes the mistakes that debuggers are for, in static functions, by the request's path:
 *   /null   writes to address 0           /overrun  writes past a block of memory
 *   /call   calls a function there        /leak     loses a block of memory
 *   /abort  aborts                        /race     counts requests without a lock, for a while
 *   /exit   calls exit(0)                 /child    forks a child that calls exit(0)
 *   /leave  calls _exit(0)
 *   /slow   waits for two seconds         /hang     makes the file "hangs", and waits for the file "go"
 * worker_exit logs that it ran. The tests know lines by their comments. */
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared.h"

static int *volatile nowhere;
static void (*volatile no_function)(void);
static char *volatile block;
static long counted;

static void pause_for(long milliseconds) {
  const struct timespec pause = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

/* The crash is wanted: UBSan would only report it. */
__attribute__((noinline, no_sanitize("undefined"))) static void write_to_null(void) { *nowhere = 1; /* line: write */ }

__attribute__((noinline)) static void call_null(void) {
  no_function(); /* line: call */
  pause_for(0);
}

__attribute__((noinline)) static void wait_long(void) {
  pause_for(2000); /* line: wait */
  pause_for(0);
}

__attribute__((noinline)) static void leave_by_exit(void) { exit(0); /* line: exit */ }

static void let_a_child_exit(void) {
  const pid_t child = fork();
  if (child == 0) exit(0);
  waitpid(child, NULL, 0);
}

__attribute__((noinline)) static void hang(void) {
  close(creat("hangs", 0600));
  while (access("go", F_OK) != 0) pause_for(10);
}

__attribute__((noinline)) static void overrun(void) {
  block = malloc(16);
  block[16] = 'x'; /* line: overrun */
  free(block);
  block = NULL;
}

__attribute__((noinline)) static void leak(void) {
  block = malloc(4321); /* line: leak */
  block = NULL;
}

__attribute__((noinline)) static void race(void) {
  for (int turn = 0; turn < 100; ++turn) {
    ++counted; /* line: race */
    pause_for(1);
  }
}

static int worker_init(const narwhal_boot *boot, void **instance) {
  *instance = malloc(100);
  return keep_host(boot, instance);
}

static void worker_exit(void *instance) {
  const char text[] = "crashes: worker_exit";
  host->log(NARWHAL_LOG_INFO, narwhal_bytes_of(text, sizeof text - 1));
  free(instance);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/null")) write_to_null(); /* line: handle */
  if (path_is(exchange, "/call")) call_null();
  if (path_is(exchange, "/abort")) abort();
  if (path_is(exchange, "/exit")) leave_by_exit();
  if (path_is(exchange, "/leave")) _exit(0);
  if (path_is(exchange, "/child")) let_a_child_exit();
  if (path_is(exchange, "/slow")) wait_long();
  if (path_is(exchange, "/hang")) hang();
  if (path_is(exchange, "/overrun")) overrun();
  if (path_is(exchange, "/leak")) leak();
  if (path_is(exchange, "/race")) race();
  return answer(exchange, "ok");
}

PLUGIN(.worker_init = worker_init, .worker_exit = worker_exit, .handle = handle);
