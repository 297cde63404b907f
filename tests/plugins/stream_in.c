/* Reads the body while it arrives: ?piece=N bytes at a time, ?ms=N milliseconds between two reads, at most ?most=N
 * bytes. Answers "bytes reads sum", where `sum` is that of all bytes. */
#include <time.h>

#include "shared.h"

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  char buffer[65536];
  const long ms = query_number(exchange, "ms", 0), most = query_number(exchange, "most", -1);
  const long piece = query_number(exchange, "piece", (long)sizeof buffer);
  const size_t room = piece > 0 && (size_t)piece < sizeof buffer ? (size_t)piece : sizeof buffer;
  long long bytes = 0, reads = 0, sum = 0;
  while (most < 0 || bytes < most) {
    const size_t want = most >= 0 && (size_t)(most - bytes) < room ? (size_t)(most - bytes) : room;
    const int64_t size = host->read_body(exchange, buffer, want);
    if (size < 0) return NARWHAL_ERROR;
    if (size == 0) break;
    for (int64_t i = 0; i < size; ++i) sum += (unsigned char)buffer[i];
    bytes += size;
    ++reads;
    if (ms > 0) nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
  }
  return answer(exchange, "%lld %lld %lld", bytes, reads, sum);
}

PLUGIN(.flags = NARWHAL_STREAM_BODY, .worker_init = keep_host, .handle = handle);
