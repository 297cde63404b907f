/* Answers which mount was asked, "prefix say requests"; each mount counts its own requests. */
#include <stdatomic.h>

#include "shared.h"

typedef struct {
  char prefix[64], say[64];
  atomic_long requests;
} mount;

static int worker_init(const narwhal_boot *boot, void **instance) {
  mount *made = calloc(1, sizeof *made);
  if (made == NULL) return boot_failed(boot, "no memory");
  const char *say = OPTION(boot, "say");
  snprintf(made->prefix, sizeof made->prefix, "%.*s", (int)boot->prefix.size, boot->prefix.data);
  snprintf(made->say, sizeof made->say, "%s", say == NULL ? "(none)" : say);
  *instance = made;
  return keep_host(boot, instance);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  mount *asked = instance;
  const long count = atomic_fetch_add(&asked->requests, 1) + 1;
  return answer(exchange, "%s %s %ld", asked->prefix, asked->say, count);
}

static const narwhal_option options[] = {{"say", "string", "hello", "what to say", 0},
                                         {"times", "int", "1", "any number", 0},
                                         {"loud", "bool", NULL, "true or false", 0},
                                         {"volume", "float", NULL, "any real number", 0},
                                         {0}};

static void worker_exit(void *instance) { free(instance); }

PLUGIN(.options = options, .worker_init = worker_init, .handle = handle, .worker_exit = worker_exit);
