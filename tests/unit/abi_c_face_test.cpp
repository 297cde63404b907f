// narwhal/testing.h, as a test in C uses it, for what narwhal/extensions.h has. The rest: examples/tests/hello_c_test.c.
#include <doctest/doctest.h>
#include <narwhal/extensions.h>
#include <narwhal/testing.h>

#include <string_view>

namespace {

const narwhal_host* host = nullptr;
narwhal_metric *orders = nullptr, *sizes = nullptr;
std::int64_t* visitors = nullptr;
int turns = 0;

template <class Table>
const Table* table(const char* name) {
  return static_cast<const Table*>(host->get_extension(name));
}

int worker_init(const narwhal_boot* boot, void**) {
  host = boot->host;
  const double bounds[] = {1, 10};
  const auto* const metrics = table<narwhal_metrics>(NARWHAL_METRICS);
  orders = metrics->metric(NARWHAL_COUNTER, NARWHAL_LITERAL("c_face_orders_total"), NARWHAL_LITERAL("kind=\"card\""),
                           NARWHAL_LITERAL("Orders."), nullptr, 0);
  sizes = metrics->metric(NARWHAL_HISTOGRAM, NARWHAL_LITERAL("c_face_sizes"), NARWHAL_LITERAL(""),
                          NARWHAL_LITERAL("Sizes."), bounds, 2);
  visitors = table<narwhal_counters>(NARWHAL_COUNTERS)->number(NARWHAL_LITERAL("c_face_visitors"));
  turns = 0;
  const auto* const loop = table<narwhal_loop>(NARWHAL_LOOP);
  loop->start_timer(
      5'000'000, 10'000'000, [](void*) { ++turns; }, nullptr);
  return NARWHAL_OK;
}

int handle(void*, narwhal_exchange* exchange) {
  const auto* const metrics = table<narwhal_metrics>(NARWHAL_METRICS);
  metrics->add(orders, 1.5);
  metrics->add(sizes, 4);
  metrics->add(sizes, 40);
  ++*visitors;
  const auto answer = [](void* later) {
    narwhal_response response{};
    response.struct_size = sizeof response;
    response.status = 200;
    host->respond(static_cast<narwhal_exchange*>(later), &response);
  };
  return table<narwhal_loop>(NARWHAL_LOOP)->post(answer, exchange) == NARWHAL_OK ? NARWHAL_DEFERRED : NARWHAL_ERROR;
}

const narwhal_plugin shop = [] {
  narwhal_plugin plugin{};
  plugin.struct_size = sizeof plugin;
  plugin.name = "shop";
  plugin.worker_init = worker_init;
  plugin.handle = handle;
  return plugin;
}();

}  // namespace

TEST_CASE("testing.h: a test in C reads metrics and shared numbers, and lets time pass") {
  narwhal_test_worker* const worker = narwhal_test_open(&shop, nullptr);
  REQUIRE(std::string_view(narwhal_test_boot_error(worker)).empty());
  const std::int64_t before = narwhal_test_shared_number("c_face_visitors");

  const narwhal_test_request get{};
  narwhal_test_client* const client = narwhal_test_begin(worker, &get);
  CHECK(narwhal_test_wait_for_return(client, 10'000) == 1);
  CHECK(narwhal_test_status(narwhal_test_so_far(client)) == 0);
  narwhal_test_pass_time(worker, 0);
  CHECK(narwhal_test_status(narwhal_test_answer_of(client)) == 200);

  CHECK(narwhal_test_metric("c_face_orders_total", "kind=\"card\"") == 1.5);
  CHECK(narwhal_test_metric("c_face_orders_total", nullptr) == 0);
  CHECK(narwhal_test_metric("c_face_sizes", nullptr) == 44);
  CHECK(narwhal_test_observations("c_face_sizes", "") == 2);
  CHECK(narwhal_test_observations("none", nullptr) == 0);
  CHECK(narwhal_test_shared_number("c_face_visitors") == before + 1);
  CHECK(narwhal_test_shared_number("none") == 0);

  CHECK(turns == 0);
  narwhal_test_pass_time(worker, 25);
  CHECK(turns == 3);
  narwhal_test_close(worker);
}
