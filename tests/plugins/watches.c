/* Names a file to the server (watch) and answers its first line. When that is "broken", set-up fails; when it is "no
 * app", with NARWHAL_NO_APP. In preload too. /watch answers what watch() has returned in
 * set-up, and what it returns now. */
#include "shared.h"

static char text[256];
static char file_name[256];
static int watched;

static int set_up(const narwhal_boot *boot, void **instance) {
  keep_host(boot, instance);
  const char *path = option_text(boot, "file", file_name);
  FILE *file = path == NULL ? NULL : fopen(path, "r");
  if (file == NULL) return boot_failed(boot, "there is no such file");
  watched = host->watch(narwhal_bytes_of(path, strlen(path)));
  if (fgets(text, sizeof text, file) == NULL) text[0] = '\0';
  fclose(file);
  text[strcspn(text, "\n")] = '\0';
  if (strcmp(text, "broken") == 0) return boot_failed(boot, "the file is broken");
  if (strcmp(text, "no app") != 0) return NARWHAL_OK;
  boot_failed(boot, "the file has no app in it");
  return NARWHAL_NO_APP;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (!path_is(exchange, "/watch")) return answer(exchange, "%s", text);
  return answer(exchange, "%d %d", watched, host->watch(narwhal_bytes_of(file_name, strlen(file_name))));
}

static const narwhal_option options[] = {{"file", "string", NULL, "path", 0}, {0}};

PLUGIN(.options = options, .preload = set_up, .worker_init = set_up, .handle = handle);
