/* A plugin of a later minor version: it is compiled from headers in which each struct has a member `tomorrow` more. It works with
 * hosts that have it and with those that do not, and answers which of the host's structs have it. */
#include <narwhal/extensions.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const narwhal_host *host;
static int in_boot;

static int worker_init(const narwhal_boot *boot, void **instance) {
  (void)instance;
  host = boot->host;
  in_boot = NARWHAL_HAS(boot, narwhal_boot, tomorrow);
  return NARWHAL_OK;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  const narwhal_loop *loop = host->get_extension(NARWHAL_LOOP);
  char text[128];
  (void)instance;
  const int size = snprintf(
      text, sizeof text, "host %d, boot %d, request %d, loop %d", NARWHAL_HAS(host, narwhal_host, tomorrow), in_boot,
      NARWHAL_HAS(host->request(exchange), narwhal_request, tomorrow), NARWHAL_HAS(loop, narwhal_loop, tomorrow));
  narwhal_response response;
  memset(&response, 0, sizeof response);
  response.struct_size = sizeof response;
  response.status = 200;
  response.body = narwhal_bytes_of(text, (size_t)size);
  response.tomorrow = 7;
  return host->respond(exchange, &response);
}

static int never(void) { abort(); }

NARWHAL_EXPORT const narwhal_plugin narwhal_plugin_v1 = {
    .struct_size = sizeof(narwhal_plugin),
    .abi_minor = NARWHAL_ABI_MINOR + 1, /* with a flag that no header has yet */
    .flags = 1u << 20,
    .name = "of_tomorrow",
    .version = "1",
    .worker_init = worker_init,
    .handle = handle,
    .tomorrow = never};
