/* Reads the body as a whole. Answers "bytes sum where", where `where` is "memory" or "file"; with ?fd=1 it sums what
 * the descriptor gives, which must be the same bytes. */
#include <unistd.h>

#include "shared.h"

static unsigned long long sum_of(const char *data, size_t size) {
  unsigned long long sum = 0;
  for (size_t i = 0; i < size; ++i) sum += (unsigned char)data[i];
  return sum;
}

static unsigned long long sum_of_file(int fd) {
  char buffer[65536];
  unsigned long long sum = 0;
  off_t at = 0;
  for (ssize_t size; (size = pread(fd, buffer, sizeof buffer, at)) > 0; at += size) sum += sum_of(buffer, (size_t)size);
  return sum;
}

static int handle(void *instance, narwhal_exchange *exchange) {
  (void)instance;
  narwhal_bytes body;
  if (host->body(exchange, &body) != NARWHAL_OK) return NARWHAL_ERROR;
  const int fd = host->body_fd(exchange);
  const int by_file = query_number(exchange, "fd", 0) == 1 && fd >= 0;
  const unsigned long long sum = by_file ? sum_of_file(fd) : sum_of(body.data, body.size);
  return answer(exchange, "%zu %llu %s", body.size, sum, fd >= 0 ? "file" : "memory");
}

PLUGIN(.worker_init = keep_host, .handle = handle);
