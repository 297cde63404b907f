/* As if built against headers that end earlier. ABI_CUT in the environment is the struct_size of its table: hooks after that are
 * not part of it, and must not be called. Each hook that is called writes its name to the log. GET /?N answers with a
 * narwhal_response of N bytes, after which there is memory that nobody may read. */
#include <narwhal/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const narwhal_host *host;

static void note(const char *hook) { host->log(NARWHAL_LOG_INFO, narwhal_bytes_of(hook, strlen(hook))); }

static int preload(const narwhal_boot *boot, void **instance) {
  host = boot->host;
  *instance = &host;
  return NARWHAL_OK;
}

static int worker_init(const narwhal_boot *boot, void **instance) { return preload(boot, instance); }

static int handle(void *instance, narwhal_exchange *exchange) {
  const narwhal_bytes query = host->request(exchange)->query;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char digits[16] = "", *const pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  (void)instance;
  if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) return NARWHAL_ERROR;
  memcpy(digits, query.data, query.size < sizeof digits ? query.size : 0);
  const size_t size = strtoul(digits, NULL, 10);
  narwhal_response whole = {.struct_size = size, .status = 200, .body = NARWHAL_LITERAL("cut")};
  void *const cut = pages + page - size;
  memcpy(cut, &whole, size < sizeof whole ? size : sizeof whole);
  const int code = host->respond(exchange, cut);
  munmap(pages, 2 * page);
  return code;
}

static void cancel(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  (void)exchange;
  note("cancel is called");
}
static void drain(void *instance) {
  (void)instance;
  note("drain is called");
}
static void worker_exit(void *instance) {
  (void)instance;
  note("worker_exit is called");
}
static void before_fork(void *instance) {
  (void)instance;
  note("before_fork is called");
}
static void after_fork(void *instance) {
  (void)instance;
  note("after_fork is called");
}
static void template_exit(void *instance) {
  (void)instance;
  note("template_exit is called");
}

NARWHAL_EXPORT narwhal_plugin narwhal_plugin_v1 = {.struct_size = sizeof(narwhal_plugin),
                                                   .name = "cut",
                                                   .preload = preload,
                                                   .worker_init = worker_init,
                                                   .handle = handle,
                                                   .cancel = cancel,
                                                   .drain = drain,
                                                   .worker_exit = worker_exit,
                                                   .before_fork = before_fork,
                                                   .after_fork = after_fork,
                                                   .template_exit = template_exit};

__attribute__((constructor)) static void cut_off(void) {
  const char *size = getenv("ABI_CUT");
  if (size != NULL) narwhal_plugin_v1.struct_size = strtoul(size, NULL, 10);
}
