/* testing.h on its own, as a test in C uses it. */
#include <narwhal/testing.h>

int main(void) {
  static const narwhal_test_pair options[] = {{"currency", "SEK"}, {NULL, NULL}};
  const narwhal_test_settings settings = {.options = options, .threads = 2};
  narwhal_test_worker *worker = narwhal_test_open(&narwhal_plugin_v1, &settings);
  const narwhal_test_request request = {.method = "POST", .body = NARWHAL_LITERAL("7"), .slow_at_write = 1};
  narwhal_test_client *client = narwhal_test_begin(worker, &request);
  const int status = narwhal_test_status(narwhal_test_answer_of(client));
  narwhal_test_close(worker);
  return status != 200;
}
