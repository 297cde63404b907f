/* drive PLUGIN.so TARGET...: what a plugin answers under the harness of these headers; the status and the body, a line each. */
#include <narwhal/testing.h>
#include <stdio.h>

int main(int argc, char **argv) {
  narwhal_test_worker *worker = narwhal_test_load(argv[1], NULL);
  const char *error = narwhal_test_boot_error(worker);
  if (*error != '\0') {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  for (int i = 2; i < argc; ++i) {
    const narwhal_test_answer *answer = narwhal_test_get(worker, argv[i]);
    const narwhal_bytes body = narwhal_test_body(answer);
    printf("%d %.*s\n", narwhal_test_status(answer), (int)body.size, body.data);
  }
  narwhal_test_close(worker);
  return 0;
}
