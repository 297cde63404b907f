/* /N answers N KiB, letters by turns, without a thread: what the client does not take now is written when writable() says so.
 * /stats answers how often that was called. */
#include <stdatomic.h>

#include "shared.h"

enum { piece_size = 16 * 1024 };

typedef struct Stream {
  long left; /* pieces */
  char letter;
} Stream;

static atomic_long events;

/* Writes until the client is too slow, or to the end. */
static void write_on(narwhal_exchange *exchange, Stream *stream) {
  char piece[piece_size];
  while (stream->left > 0) {
    memset(piece, stream->letter, sizeof piece);
    const int code = host->write(exchange, narwhal_bytes_of(piece, sizeof piece), NARWHAL_NOWAIT);
    if (code == NARWHAL_AGAIN) return; /* from here on the other thread may be writing */
    if (code != NARWHAL_OK) break;
    --stream->left;
    stream->letter = stream->letter == 'z' ? 'a' : (char)(stream->letter + 1);
  }
  host->finish(exchange);
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  if (path_is(exchange, "/stats")) return answer(exchange, "%ld", atomic_load(&events));
  const narwhal_bytes path = host->request(exchange)->path;
  char digits[20] = "";
  memcpy(digits, path.data + 1, path.size - 1 < sizeof digits ? path.size - 1 : sizeof digits - 1);
  Stream *stream = host->alloc(exchange, sizeof *stream);
  if (stream == NULL) return host->fail(exchange, 503, NARWHAL_LITERAL("out of memory"));
  *stream = (Stream){strtol(digits, NULL, 10) * 1024 / piece_size, 'a'};
  host->set_user(exchange, stream);
  const narwhal_response head = {.struct_size = sizeof head, .status = 200, .body_size = stream->left * piece_size};
  if (host->start(exchange, &head) == NARWHAL_OK) write_on(exchange, stream);
  return NARWHAL_DEFERRED;
}

static void writable(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  atomic_fetch_add(&events, 1);
  write_on(exchange, host->user(exchange));
}

static void cancel(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  host->finish(exchange);
}

PLUGIN(.worker_init = keep_host, .handle = handle, .writable = writable, .cancel = cancel);
