/* Every hook of a plugin and every function of the server, each where it belongs: to look up and to copy from. A plugin needs
 * few of them: hello_c.c is the smallest one. The tags [boot], [loop], ... name threads; narwhal/plugin.h describes them.
 *   cc -std=c11 -fPIC -shared -fvisibility=hidden -o every_hook.so every_hook.c && narwhal ./every_hook.so
 *   /          respond()                                  /body   body(), body_fd(), read_body()
 *   /stream    inform(), start(), write(), trailers()     /file   send_file(): the file of the option `data`
 *   /later     a deferred answer, by a timer              /work   flush(): the client need not wait for the rest
 *   /cgi?NAME  variable()                                 /fail   fail()              /replace  replace_worker()
 *   /many      write() that never waits, and writable(), which says when to go on
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <narwhal/extensions.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A deferred exchange that waits for its answer. Its memory is the exchange's: alloc(). */
typedef struct later {
  narwhal_exchange *exchange;
  struct instance *owner;
  narwhal_timer *timer;
  struct later *next;
} later;

/* What the options say. Made in the template, which all workers of a generation have copies of, or in a worker. */
typedef struct settings {
  const narwhal_host *host;
  char greeting[64], data[256];
  long repeat;
  double pause;
  int streams; /* read_body() instead of body() */
  int forks;
} settings;

/* One for each mount in each worker. handle() runs on several threads at once: what changes there needs the mutex. */
typedef struct instance {
  const narwhal_host *host;
  settings *set, *own;              /* own: made in this worker, or NULL */
  const narwhal_counters *counters; /* extensions may be missing: NULL */
  const narwhal_metrics *metrics;
  const narwhal_loop *loop;
  int log; /* a descriptor, for stuck() */
  int64_t *requests;
  narwhal_metric *answers, *waiting_now;
  pthread_mutex_t mutex; /* guards what follows */
  later *waiting;
} instance;

/* What set_user() keeps of a request. */
typedef struct activity {
  const char *doing;
  long left; /* parts of /many */
} activity;

/* Atomic, because slow() reads it while the handler runs. */
static void set_doing(activity *mine, const char *what) { __atomic_store_n(&mine->doing, what, __ATOMIC_RELAXED); }
static const char *doing(const activity *theirs) {
  return theirs != NULL ? __atomic_load_n(&theirs->doing, __ATOMIC_RELAXED) : "just begun";
}

static __thread char *part_buffer;
enum { part_max = 65536 };

/* The server checks each value against its type before any hook is called. NARWHAL_REQUIRED in `flags` refuses to start
 * without a value; an option with a fallback need not be given. */
static const narwhal_option options[] = {
    {"greeting", "string", "Hello", "the first word of the answer at /", 0},
    {"data", "string", NULL, "what /file sends: an absolute path", 0},
    {"repeat", "int", "3", "parts that /stream sends, at least 1", 0},
    {"pause", "float", "0.01", "seconds until /later answers, and that /work works", 0},
    {"stream", "bool", "false", "read the body while it arrives", 0},
    {NULL, NULL, NULL, NULL, 0},
};

static narwhal_bytes text_of(const char *text) { return narwhal_bytes_of(text, strlen(text)); }

static int is(narwhal_bytes bytes, const char *text) {
  return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* The value of an option as a string; it is too long: cut. No value: "". */
static void copy_option(const narwhal_boot *boot, const char *key, char *room, size_t size) {
  const narwhal_bytes value = boot->option(boot, key);
  const size_t used = value.size < size ? value.size : size - 1;
  if (used != 0) memcpy(room, value.data, used);
  room[used] = '\0';
}

/* ---- set-up: [template] before the workers are forked, [boot] in each worker ---- */

/* NULL: it has failed. */
static settings *read_settings(const narwhal_boot *boot) {
  char number[32];
  settings *set = calloc(1, sizeof *set);
  if (set == NULL) return NULL;
  set->host = boot->host;
  copy_option(boot, "greeting", set->greeting, sizeof set->greeting);
  copy_option(boot, "data", set->data, sizeof set->data);
  copy_option(boot, "repeat", number, sizeof number);
  set->repeat = strtol(number, NULL, 10);
  copy_option(boot, "pause", number, sizeof number);
  set->pause = strtod(number, NULL);
  set->streams = is(boot->option(boot, "stream"), "true");
  if (set->repeat >= 1 && set->pause >= 0) return set;
  free(set);
  boot->fail(boot,
             text_of("repeat: at least 1; pause: at least 0")); /* to the log; at a reload the old version serves on */
  return NULL;
}

/* [template] Only with `preload_app`. What it makes, all workers share until they change it. Start no thread here. */
static int preload(const narwhal_boot *boot, void **out) {
  *out = read_settings(boot);
  return *out != NULL ? NARWHAL_OK : NARWHAL_ERROR;
}

/* [template] Around each fork of a worker. */
static void before_fork(void *set) {
  (void)set;
  fflush(NULL); /* what is in a buffer would be written by the worker, too */
}
static void after_fork(void *set) { ++((settings *)set)->forks; }

/* [template] The last call there, where preload() was called, even if that has failed. */
static void template_exit(void *plugin) {
  settings *set = plugin;
  if (set != NULL && set->forks > 0)
    set->host->log(NARWHAL_LOG_INFO, text_of("every_hook: the template has forked workers"));
  free(set);
}

static void say_that_the_loop_runs(void *plugin) {
  ((instance *)plugin)->host->log(NARWHAL_LOG_DEBUG, text_of("every_hook: the event loop runs"));
}

static void ask_for_extensions(instance *self) {
  const narwhal_host *host = self->host;
  self->counters = host->get_extension(NARWHAL_COUNTERS);
  self->metrics = host->get_extension(NARWHAL_METRICS);
  self->loop = host->get_extension(NARWHAL_LOOP);
  if (self->counters != NULL) self->requests = self->counters->number(text_of("every_hook requests"));
  if (self->metrics != NULL) {
    const narwhal_bytes none = {NULL, 0};
    self->answers = self->metrics->metric(NARWHAL_COUNTER, text_of("every_hook_answers_total"), none,
                                          text_of("Requests that were handled."), NULL, 0);
    self->waiting_now = self->metrics->metric(NARWHAL_GAUGE, text_of("every_hook_waiting"), none,
                                              text_of("Requests at /later that wait."), NULL, 0);
    self->metrics->set(self->waiting_now, 0);
  }
  if (self->loop != NULL) self->loop->post(say_that_the_loop_runs, self);
}

/* [boot] After preload() *out is what that has left. */
static int worker_init(const narwhal_boot *boot, void **out) {
  settings *own = *out == NULL ? read_settings(boot) : NULL;
  instance *self = calloc(1, sizeof *self);
  if ((*out == NULL && own == NULL) || self == NULL || pthread_mutex_init(&self->mutex, NULL) != 0) {
    free(self);
    free(own);
    return NARWHAL_ERROR;
  }
  self->host = boot->host;
  self->own = own;
  self->set = own != NULL ? own : *out;
  self->log = boot->host->log_descriptor();
  if (self->set->streams) boot->set_flags(boot, NARWHAL_STREAM_BODY); /* what is always so is in narwhal_plugin.flags */
  /* With the setting `reload`, a change to the file reloads the server. */
  if (self->set->data[0] != '\0') boot->host->watch(text_of(self->set->data));
  ask_for_extensions(self);
  *out = self;
  return NARWHAL_OK;
}

/* [boot] The last word before the worker accepts connections. */
static int ready_check(const narwhal_boot *boot, void *plugin) {
  const instance *self = plugin;
  if (self->set->data[0] == '\0' || access(self->set->data, R_OK) == 0) return NARWHAL_OK;
  boot->fail(boot, text_of("the file of the option 'data' cannot be read"));
  return NARWHAL_ERROR;
}

/* Once on each thread that may run handle(): the place for what a thread needs for itself. */
static int thread_init(void *plugin) {
  (void)plugin;
  if (part_buffer == NULL) part_buffer = malloc(part_max); /* once, also where the plugin is mounted twice */
  return part_buffer != NULL ? NARWHAL_OK : NARWHAL_ERROR;
}
static void thread_exit(void *plugin) {
  (void)plugin;
  free(part_buffer);
  part_buffer = NULL;
}

/* ---- answers ---- */

/* What is not named is 0. body_size counts for start() alone. */
static narwhal_response head_of(const narwhal_field *fields, uint32_t count, int64_t body_size) {
  const narwhal_response head = {
      .struct_size = sizeof head, .status = 200, .field_count = count, .fields = fields, .body_size = body_size};
  return head;
}

static narwhal_field field_of(const char *name, const char *value) {
  const narwhal_field field = {text_of(name), text_of(value)};
  return field;
}

static int answer(const narwhal_host *host, narwhal_exchange *exchange, narwhal_bytes body) {
  const narwhal_field type = field_of("Content-Type", "text/plain");
  narwhal_response response = head_of(&type, 1, 0);
  response.body = body; /* copied, because response.release is NULL */
  return host->respond(exchange, &response);
}

static int greet(const instance *self, narwhal_exchange *exchange) {
  const narwhal_host *host = self->host;
  const narwhal_bytes agent = host->header(exchange, text_of("User-Agent"));
  char *body = host->alloc(exchange, 256); /* freed with the exchange */
  if (body == NULL) return NARWHAL_ERROR;  /* the server answers 500 */
  snprintf(body, 256, "%s, %.*s!\n", self->set->greeting, (int)(agent.size < 100 ? agent.size : 100),
           agent.size != 0 ? agent.data : "");
  host->log_value(exchange, text_of("greeted"), agent); /* %({greeted}e)s in the access log */
  return answer(host, exchange, text_of(body));
}

/* A body that has been read whole is one view. Of a streamed one, read_body() gives part after part, and waits for them. */
static int measure_body(const instance *self, narwhal_exchange *exchange) {
  const narwhal_host *host = self->host;
  char line[96];
  long long size = 0;
  narwhal_bytes whole;
  if (host->body(exchange, &whole) == NARWHAL_OK) {
    size = (long long)whole.size;
  } else {
    int64_t got;
    while ((got = host->read_body(exchange, part_buffer, part_max)) > 0) size += got;
    if (got < 0) return (int)got; /* NARWHAL_GONE: the client has left */
  }
  snprintf(line, sizeof line, "%lld bytes, %s\n", size, host->body_fd(exchange) >= 0 ? "in a file" : "in memory");
  return answer(host, exchange, text_of(line));
}

static void give_back(void *lent) { free(lent); }

/* 103, head, parts, trailers. The handler waits in write() while its client is slow. */
static int stream(const instance *self, narwhal_exchange *exchange) {
  const narwhal_host *host = self->host;
  const narwhal_field hint = field_of("Link", "</style.css>; rel=preload"), names = field_of("Trailer", "X-Parts"),
                      trailer = field_of("X-Parts", "all");
  const narwhal_response head = head_of(&names, 1, -1); /* the length is not known yet: chunks */
  char *lent = malloc(5);
  host->inform(exchange, 103, &hint, 1);
  int code = host->start(exchange, &head);
  for (long i = 0; i < self->set->repeat && code == NARWHAL_OK && !host->gone(exchange); ++i)
    code = host->write(exchange, text_of("part\n"), 0);
  /* From a few KiB on it pays to lend bytes: the server gives them back when they are sent, or will not be. */
  if (lent != NULL && code == NARWHAL_OK) {
    memcpy(lent, "last\n", 5);
    code = host->write_lent(exchange, narwhal_bytes_of(lent, 5), 0, give_back, lent);
    if (code == NARWHAL_AGAIN) free(lent); /* the only code with which nothing was taken */
  } else {
    free(lent);
  }
  if (code == NARWHAL_OK) code = host->trailers(exchange, &trailer, 1);
  return code == NARWHAL_OK ? host->finish(exchange) : code; /* a response that is not finished is cut off */
}

static int send_data(const instance *self, narwhal_exchange *exchange) {
  const narwhal_host *host = self->host;
  const int file = self->set->data[0] != '\0' ? open(self->set->data, O_RDONLY | O_CLOEXEC) : -1;
  const off_t size = file >= 0 ? lseek(file, 0, SEEK_END) : -1;
  if (size < 0) {
    if (file >= 0) close(file);
    return host->fail(exchange, 404, text_of("there is no data"));
  }
  const narwhal_response head = head_of(NULL, 0, size);
  int code = host->start(exchange, &head);
  if (code == NARWHAL_OK) code = host->send_file(exchange, file, 0, size); /* duplicates the descriptor */
  close(file);
  return code == NARWHAL_OK ? host->finish(exchange) : code;
}

/* The client has its answer at flush(), and the handler goes on. "/work?first" works first. */
static int work(const instance *self, narwhal_exchange *exchange) {
  const int works_first = self->host->request(exchange)->query.size != 0;
  const time_t seconds = (time_t)self->set->pause;
  struct timespec time = {seconds, (long)((self->set->pause - (double)seconds) * 1e9)};
  const int code = works_first ? NARWHAL_OK : answer(self->host, exchange, text_of("accepted\n"));
  if (!works_first) self->host->flush(exchange);
  while (nanosleep(&time, &time) != 0 && errno == EINTR) continue; /* the log's stack of a slow handler: a signal */
  return works_first ? answer(self->host, exchange, text_of("done\n")) : code;
}

/* ---- deferred answers ---- */

/* [loop] Ends one that waits. 0: it does not. */
static int end(instance *self, const narwhal_exchange *exchange, const char *text) {
  later **at = &self->waiting;
  pthread_mutex_lock(&self->mutex);
  while (*at != NULL && (*at)->exchange != exchange) at = &(*at)->next;
  const later mine =
      *at != NULL ? **at : (later){NULL, NULL, NULL, NULL}; /* a copy: the memory goes with the exchange */
  if (mine.exchange != NULL) *at = mine.next;
  pthread_mutex_unlock(&self->mutex);
  if (mine.exchange == NULL) return 0;
  answer(self->host, mine.exchange, text_of(text)); /* NARWHAL_GONE after cancel(): that ends the exchange, too */
  self->loop->stop_timer(mine.timer);
  if (self->metrics != NULL) self->metrics->add(self->waiting_now, -1);
  return 1;
}

static void fire(void *argument) {
  const later *mine = argument;
  end(mine->owner, mine->exchange, "later\n");
}

/* A long answer that occupies no thread: what its client does not take now is written when there is room. */
static void write_on(const narwhal_host *host, narwhal_exchange *exchange) {
  activity *mine = host->user(exchange);
  int code = NARWHAL_OK;
  while (mine->left > 0 && (code = host->write(exchange, text_of("one of many\n"), NARWHAL_NOWAIT)) == NARWHAL_OK)
    --mine->left;
  if (code != NARWHAL_AGAIN) host->finish(exchange); /* after NARWHAL_AGAIN the loop may be at it already */
}

/* [loop] The client has taken so much that there is room again. */
static void writable(void *plugin, narwhal_exchange *exchange) { write_on(((instance *)plugin)->host, exchange); }

static int answer_many(const instance *self, narwhal_exchange *exchange) {
  const narwhal_response head = head_of(NULL, 0, -1);
  activity *mine = self->host->user(exchange);
  set_doing(mine, "many");
  mine->left = self->set->repeat * 1000;
  const int code = self->host->start(exchange, &head);
  if (code != NARWHAL_OK) return code;
  write_on(self->host, exchange);
  return NARWHAL_DEFERRED;
}

/* [loop] The client is gone, or its deadline has passed. */
static void cancel(void *plugin, narwhal_exchange *exchange) {
  if (!end(plugin, exchange, "")) ((instance *)plugin)->host->finish(exchange);
}

/* [loop] The worker is being retired: nobody should have to wait for long. */
static void drain(void *plugin) {
  instance *self = plugin;
  for (;;) {
    pthread_mutex_lock(&self->mutex);
    narwhal_exchange *first = self->waiting != NULL ? self->waiting->exchange : NULL;
    pthread_mutex_unlock(&self->mutex);
    if (first == NULL) return;
    end(self, first, "drained\n");
  }
}

static int defer(instance *self, narwhal_exchange *exchange) {
  const narwhal_host *host = self->host;
  later *mine = self->loop != NULL ? host->alloc(exchange, sizeof *mine) : NULL;
  if (mine == NULL) return host->fail(exchange, 501, text_of("there is no timer"));
  mine->exchange = exchange;
  mine->owner = self;
  pthread_mutex_lock(&self->mutex); /* it may fire before it is in the list: fire() waits for the mutex */
  mine->timer = self->loop->start_timer((uint64_t)(self->set->pause * 1e9), 0, fire, mine);
  if (mine->timer == NULL) {
    pthread_mutex_unlock(&self->mutex);
    return host->fail(exchange, 503, text_of("there is no memory for a timer"));
  }
  mine->next = self->waiting;
  self->waiting = mine;
  pthread_mutex_unlock(&self->mutex);
  if (self->metrics != NULL) self->metrics->add(self->waiting_now, 1);
  return NARWHAL_DEFERRED;
}

/* ---- the hooks of a request ---- */

/* [handler] Whatever it returns, the client gets an answer: 500 when there is none. */
static int handle(void *plugin, narwhal_exchange *exchange) {
  instance *self = plugin;
  const narwhal_host *host = self->host;
  const narwhal_bytes path = host->request(exchange)->path; /* not decoded, with the prefix of the mount */
  activity *mine = host->alloc(exchange, sizeof *mine);
  if (mine == NULL) return NARWHAL_ERROR; /* the server answers 500 */
  *mine = (activity){"a request", 0};
  host->set_user(exchange, mine); /* for slow() */
  if (self->requests != NULL) __atomic_fetch_add(self->requests, 1, __ATOMIC_RELAXED);
  if (self->metrics != NULL) self->metrics->add(self->answers, 1);
  if (is(path, "/body")) return measure_body(self, exchange);
  if (is(path, "/stream")) return stream(self, exchange);
  if (is(path, "/file")) return send_data(self, exchange);
  if (is(path, "/later")) return defer(self, exchange);
  if (is(path, "/many")) return answer_many(self, exchange);
  if (is(path, "/cgi")) return answer(host, exchange, host->variable(exchange, host->request(exchange)->query));
  if (is(path, "/fail")) return host->fail(exchange, 503, text_of("asked for"));
  if (is(path, "/work")) return set_doing(mine, "work"), work(self, exchange);
  if (is(path, "/replace")) host->replace_worker(); /* this one serves until the next is ready */
  return greet(self, exchange);
}

/* [loop] Longer than the setting soft_timeout in handle(). The lines stay together in the log. */
static void slow(void *plugin, narwhal_exchange *exchange) {
  const narwhal_host *host = ((instance *)plugin)->host;
  const activity *theirs = host->user(exchange);
  host->log_text(NARWHAL_LOG_WARNING, text_of("every_hook: slow"), text_of(doing(theirs)));
}

/* [loop] Longer than `timeout`: the client has got a 504. write() is all that a handler of SIGSEGV may call, too. */
static void stuck(void *plugin, narwhal_exchange *exchange) {
  static const char line[] = "every_hook: stuck\n";
  (void)exchange;
  if (write(((instance *)plugin)->log, line, sizeof line - 1) < 0) return;
}

/* [boot] The last call in a worker. */
static void worker_exit(void *plugin) {
  instance *self = plugin;
  self->host->log(NARWHAL_LOG_INFO, text_of(self->host->left_at_once() ? "every_hook: at once" : "every_hook: done"));
  pthread_mutex_destroy(&self->mutex);
  free(self->own);
  free(self);
}

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin),
                                                         .abi_minor = NARWHAL_ABI_MINOR,
                                                         .flags = 0, /* NARWHAL_INLINE: handle() never waits */
                                                         .name = "every_hook",
                                                         .version = "1.0",
                                                         .options = options,
                                                         .preload = preload,
                                                         .worker_init = worker_init,
                                                         .ready_check = ready_check,
                                                         .thread_init = thread_init,
                                                         .thread_exit = thread_exit,
                                                         .handle = handle,
                                                         .cancel = cancel,
                                                         .drain = drain,
                                                         .worker_exit = worker_exit,
                                                         .before_fork = before_fork,
                                                         .after_fork = after_fork,
                                                         .stuck = stuck,
                                                         .template_exit = template_exit,
                                                         .slow = slow,
                                                         .writable = writable};
