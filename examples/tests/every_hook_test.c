/* A test of every_hook.c in C: options, bodies that follow, streams, clients that leave, and what preload() makes.
 *   cc -std=c11 -o every_hook_test every_hook_test.c ../every_hook.c $(pkg-config --cflags --libs narwhal-testing) */
#include <narwhal/testing.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(condition) \
  ((condition) ? (void)0 : (void)(++failures, fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition)))

static int same(narwhal_bytes bytes, const char *text) {
  return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static narwhal_test_worker *open_with(const narwhal_test_pair *options, int preload) {
  narwhal_test_worker *worker = narwhal_test_open(
      &narwhal_plugin_v1, &(narwhal_test_settings){.options = options, .preload = preload, .threads = 2});
  CHECK(strcmp(narwhal_test_boot_error(worker), "") == 0);
  return worker;
}

static void test_plain_answers(narwhal_test_worker *worker) {
  const narwhal_test_pair agent[] = {{"User-Agent", "test"}, {NULL, NULL}};
  const narwhal_test_answer *answer = narwhal_test_send(worker, &(narwhal_test_request){.headers = agent});
  CHECK(same(narwhal_test_body(answer), "Hej, test!\n"));
  CHECK(strcmp(narwhal_test_log_value(answer, "greeted"), "test") == 0);
  CHECK(same(narwhal_test_body(narwhal_test_get(worker, "/cgi?REQUEST_METHOD")), "GET"));
  CHECK(same(narwhal_test_body(narwhal_test_get(worker, "/work")), "accepted\n"));
  CHECK(narwhal_test_body(narwhal_test_get(worker, "/many")).size == 2 * 1000 * strlen("one of many\n"));
  CHECK(narwhal_test_status(narwhal_test_get(worker, "/fail")) == 503);
  CHECK(narwhal_test_status(narwhal_test_get(worker, "/replace")) == 200);
  CHECK(narwhal_test_status(narwhal_test_get(worker, "/file")) == 200);
}

static void test_a_stream(narwhal_test_worker *worker) {
  const narwhal_test_pair trailers[] = {{"TE", "trailers"}, {NULL, NULL}};
  const narwhal_test_answer *answer =
      narwhal_test_send(worker, &(narwhal_test_request){.target = "/stream", .headers = trailers});
  CHECK(same(narwhal_test_body(answer), "part\npart\nlast\n"));
  CHECK(narwhal_test_complete(answer));
  CHECK(narwhal_test_interim_count(answer) == 1 && narwhal_test_interim_status(answer, 0) == 103);
  CHECK(strcmp(narwhal_test_trailer(answer, "X-Parts"), "all") == 0);
  answer = narwhal_test_send(worker, &(narwhal_test_request){.target = "/stream", .leaves_at_write = 2});
  CHECK(!narwhal_test_complete(answer));
}

static void test_bodies(void) {
  const narwhal_test_pair streams[] = {{"stream", "true"}, {NULL, NULL}};
  narwhal_test_worker *worker = open_with(NULL, 0);
  const narwhal_test_request post = {.method = "POST", .target = "/body", .body = NARWHAL_LITERAL("12345")};
  CHECK(same(narwhal_test_body(narwhal_test_send(worker, &post)), "5 bytes, in memory\n"));
  narwhal_test_request spooled = post;
  spooled.body_in_file = 1;
  CHECK(same(narwhal_test_body(narwhal_test_send(worker, &spooled)), "5 bytes, in a file\n"));
  narwhal_test_close(worker);

  worker = open_with(streams, 0);
  narwhal_test_request follows = post;
  follows.body_follows = 1;
  narwhal_test_client *client = narwhal_test_begin(worker, &follows);
  narwhal_test_send_body(client, NARWHAL_LITERAL("678"));
  narwhal_test_end_body(client);
  CHECK(same(narwhal_test_body(narwhal_test_answer_of(client)), "8 bytes, in memory\n"));
  client = narwhal_test_begin(worker, &follows);
  narwhal_test_leave(client);
  CHECK(narwhal_test_wait_for_return(client, 10000));
  CHECK(!narwhal_test_complete(narwhal_test_answer_of(client)));
  narwhal_test_close(worker);
}

/* Nothing fires here, because the test lets no time pass: the answer comes by drain(), or never by cancel(). */
static void test_deferred_answers(void) {
  narwhal_test_worker *worker = open_with(NULL, 0);
  narwhal_test_client *gone = narwhal_test_begin(worker, &(narwhal_test_request){.target = "/later"});
  narwhal_test_client *late = narwhal_test_begin(worker, &(narwhal_test_request){.target = "/later"});
  narwhal_test_client *stays = narwhal_test_begin(worker, &(narwhal_test_request){.target = "/later"});
  CHECK(narwhal_test_wait_for_return(gone, 10000) && narwhal_test_wait_for_return(late, 10000));
  CHECK(narwhal_test_wait_for_return(stays, 10000));
  narwhal_test_leave(gone);
  narwhal_test_pass_deadline(late);
  narwhal_test_drain(worker);
  CHECK(same(narwhal_test_body(narwhal_test_answer_of(stays)), "drained\n"));
  CHECK(narwhal_test_status(narwhal_test_answer_of(late)) == 504);
  CHECK(narwhal_test_breach_count(worker) == 0);
  narwhal_test_close(worker);
}

static void test_what_cannot_boot(void) {
  const narwhal_test_pair none[] = {{"repeat", "0"}, {NULL, NULL}};
  const narwhal_test_pair missing[] = {{"data", "/none/such"}, {NULL, NULL}};
  narwhal_test_worker *worker = narwhal_test_open(&narwhal_plugin_v1, &(narwhal_test_settings){.options = none});
  CHECK(strstr(narwhal_test_boot_error(worker), "repeat: at least 1") != NULL);
  narwhal_test_close(worker);
  worker = narwhal_test_open(&narwhal_plugin_v1, &(narwhal_test_settings){.options = missing});
  CHECK(strstr(narwhal_test_boot_error(worker), "'data' cannot be read") != NULL);
  narwhal_test_close(worker);
}

int main(void) {
  const narwhal_test_pair options[] = {{"greeting", "Hej"}, {"repeat", "2"}, {"data", "/proc/self/exe"}, {NULL, NULL}};
  for (int preload = 0; preload < 2; ++preload) {
    narwhal_test_worker *worker = open_with(options, preload);
    test_plain_answers(worker);
    test_a_stream(worker);
    CHECK(narwhal_test_breach_count(worker) == 0);
    narwhal_test_close(worker);
  }
  test_bodies();
  test_deferred_answers();
  test_what_cannot_boot();
  return failures != 0;
}
