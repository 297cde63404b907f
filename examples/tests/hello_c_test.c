/* A test of hello_c.c in C, to begin from. A breach of narwhal/plugin.h ends it with a message.
 *   cc -std=c11 -o hello_c_test hello_c_test.c ../hello_c.c $(pkg-config --cflags --libs narwhal-testing) && ./hello_c_test
 */
#include <narwhal/testing.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(condition) \
  ((condition) ? (void)0 : (void)(++failures, fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition)))

static int same(narwhal_bytes bytes, const char *text) {
  return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

int main(void) {
  narwhal_test_worker *worker = narwhal_test_open(&narwhal_plugin_v1, NULL);
  CHECK(strcmp(narwhal_test_boot_error(worker), "") == 0);
  const narwhal_test_answer *answer = narwhal_test_get(worker, "/any/path");
  CHECK(narwhal_test_status(answer) == 200);
  CHECK(strcmp(narwhal_test_header(answer, "content-type"), "text/plain") == 0);
  CHECK(same(narwhal_test_body(answer), "Hello, world!\n"));
  CHECK(narwhal_test_complete(answer));
  answer = narwhal_test_send(worker, &(narwhal_test_request){.method = "HEAD"});
  CHECK(same(narwhal_test_body(answer), ""));
  CHECK(narwhal_test_breach_count(worker) == 0);
  narwhal_test_close(worker);
  return failures != 0;
}
