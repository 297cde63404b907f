// The functions of narwhal/testing.h: libnarwhal-testing.a. No exception leaves them: it ends the test program.
#include <narwhal/testing.h>
#include <narwhal/testing.hpp>

#include <deque>
#include <exception>
#include <optional>

namespace testing = narwhal::testing;

struct narwhal_test_answer {
  testing::Answer answer;
};

struct narwhal_test_client {
  narwhal_test_worker* worker;
  testing::Client client;
};

struct narwhal_test_worker {
  std::optional<testing::Worker> worker;
  std::deque<narwhal_test_answer> answers;  // which does not move them
  std::deque<narwhal_test_client> clients;
  std::string breach;
};

namespace {

template <class Call>
auto or_abort(Call call) noexcept {
  try {
    return call();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::abort();
  }
}

const char* or_empty(const char* text) { return text == nullptr ? "" : text; }

testing::Fields fields_of(const narwhal_test_pair* pairs) {
  testing::Fields fields;
  for (; pairs != nullptr && pairs->name != nullptr; ++pairs) fields.emplace_back(pairs->name, or_empty(pairs->value));
  return fields;
}

testing::Settings settings_of(const narwhal_test_settings* given) {
  testing::Settings settings;
  if (given == nullptr) return settings;
  for (const auto& [name, value] : fields_of(given->options)) settings.options[name] = value;
  settings.prefix = or_empty(given->prefix);
  settings.threads = given->threads == 0 ? 1 : given->threads;
  settings.preload = given->preload != 0;
  settings.timeout = std::chrono::milliseconds(given->timeout_ms);
  if (given->patience_ms != 0) settings.patience = std::chrono::milliseconds(given->patience_ms);
  if (given->response_buffer != 0) settings.response_buffer = given->response_buffer;
  return settings;
}

std::size_t calls_before(std::size_t at) { return at == 0 ? testing::never : at - 1; }

testing::ClientRequest request_of(const narwhal_test_request& given) {
  testing::ClientRequest request;
  if (given.method != nullptr) request.method = given.method;
  if (given.target != nullptr) request.target = given.target;
  if (given.protocol != nullptr) request.protocol = given.protocol;
  request.body = narwhal::view_of(given.body);
  request.headers = fields_of(given.headers);
  request.chunked = given.chunked != 0;
  request.body_follows = given.body_follows != 0;
  request.body_in_file = given.body_in_file != 0;
  request.leaves_after = calls_before(given.leaves_at_write);
  request.slow_after = calls_before(given.slow_at_write);
  request.memory_calls = calls_before(given.no_memory_at);
  return request;
}

const narwhal_test_answer* keep(narwhal_test_worker& worker, testing::Answer answer) {
  worker.answers.push_back({std::move(answer)});
  return &worker.answers.back();
}

const char* value_of(const testing::Fields& fields, const char* name) {
  for (const auto& [key, value] : fields) {
    if (narwhal::equal_ignoring_case(key, name)) return value.c_str();
  }
  return nullptr;
}

}  // namespace

// ---- a worker ----

narwhal_test_worker* narwhal_test_open(const narwhal_plugin* plugin, const narwhal_test_settings* settings) {
  return or_abort([&] {
    auto worker = std::make_unique<narwhal_test_worker>();
    worker->worker.emplace(*plugin, settings_of(settings));
    return worker.release();
  });
}
narwhal_test_worker* narwhal_test_load(const char* file, const narwhal_test_settings* settings) {
  return or_abort([&] {
    auto worker = std::make_unique<narwhal_test_worker>();
    worker->worker.emplace(std::string(file), settings_of(settings));
    return worker.release();
  });
}
const char* narwhal_test_boot_error(const narwhal_test_worker* worker) { return worker->worker->boot_error().c_str(); }
void narwhal_test_drain(narwhal_test_worker* worker) { worker->worker->drain(); }
void narwhal_test_pass_time(narwhal_test_worker* worker, uint64_t time_ms) {
  or_abort([&] { return worker->worker->pass_time(std::chrono::milliseconds(time_ms)), 0; });
}
int narwhal_test_has_logged(const narwhal_test_worker* worker, const char* text) {
  return or_abort([&] { return worker->worker->has_logged(text) ? 1 : 0; });
}
void narwhal_test_close(narwhal_test_worker* worker) {
  const std::unique_ptr<narwhal_test_worker> owned(worker);
  or_abort([&] { return owned->worker->end(), 0; });
  owned->clients.clear();
}

// ---- what narwhal/extensions.h has ----

double narwhal_test_metric(const char* name, const char* labels) {
  return or_abort([&] { return testing::Worker::metric(name, or_empty(labels)); });
}
uint64_t narwhal_test_observations(const char* histogram, const char* labels) {
  return or_abort([&] { return testing::Worker::observations(histogram, or_empty(labels)); });
}
int64_t narwhal_test_shared_number(const char* name) {
  return or_abort([&] { return testing::Worker::shared_number(name); });
}

// ---- requests ----

const narwhal_test_answer* narwhal_test_get(narwhal_test_worker* worker, const char* target) {
  return or_abort([&] { return keep(*worker, worker->worker->get(target)); });
}
const narwhal_test_answer* narwhal_test_send(narwhal_test_worker* worker, const narwhal_test_request* request) {
  return or_abort([&] { return keep(*worker, worker->worker->send(request_of(*request))); });
}
narwhal_test_client* narwhal_test_begin(narwhal_test_worker* worker, const narwhal_test_request* request) {
  return or_abort([&] {
    worker->clients.push_back({worker, worker->worker->begin(request_of(*request))});
    return &worker->clients.back();
  });
}
void narwhal_test_send_body(narwhal_test_client* client, narwhal_bytes bytes) {
  or_abort([&] { return client->client.send_body(narwhal::view_of(bytes)), 0; });
}
void narwhal_test_end_body(narwhal_test_client* client) { client->client.end_body(); }
void narwhal_test_stop_reading(narwhal_test_client* client) { client->client.stop_reading(); }
void narwhal_test_read_on(narwhal_test_client* client) { client->client.read_on(); }
void narwhal_test_leave(narwhal_test_client* client) { client->client.leave(); }
void narwhal_test_pass_deadline(narwhal_test_client* client) {
  or_abort([&] { return client->client.pass_deadline(), 0; });
}
int narwhal_test_wait_for_body(narwhal_test_client* client, size_t bytes, unsigned limit_ms) {
  return or_abort([&] { return client->client.wait_for_body(bytes, std::chrono::milliseconds(limit_ms)) ? 1 : 0; });
}
int narwhal_test_wait_for_return(narwhal_test_client* client, unsigned limit_ms) {
  return or_abort([&] { return client->client.wait_for_return(std::chrono::milliseconds(limit_ms)) ? 1 : 0; });
}
const narwhal_test_answer* narwhal_test_so_far(narwhal_test_client* client) {
  return or_abort([&] { return keep(*client->worker, client->client.so_far()); });
}
const narwhal_test_answer* narwhal_test_answer_of(narwhal_test_client* client) {
  return or_abort([&] { return keep(*client->worker, client->client.answer()); });
}

// ---- an answer ----

int narwhal_test_code(const narwhal_test_answer* answer) { return answer->answer.code; }
int narwhal_test_status(const narwhal_test_answer* answer) { return answer->answer.status; }
int narwhal_test_complete(const narwhal_test_answer* answer) { return answer->answer.complete ? 1 : 0; }
int narwhal_test_cut(const narwhal_test_answer* answer) { return answer->answer.cut ? 1 : 0; }
narwhal_bytes narwhal_test_body(const narwhal_test_answer* answer) { return narwhal::bytes_of(answer->answer.body); }
const char* narwhal_test_header(const narwhal_test_answer* answer, const char* name) {
  const char* const value = value_of(answer->answer.headers, name);
  return value != nullptr ? value : value_of(answer->answer.host_headers, name);
}
const char* narwhal_test_trailer(const narwhal_test_answer* answer, const char* name) {
  return value_of(answer->answer.trailers, name);
}
const char* narwhal_test_log_value(const narwhal_test_answer* answer, const char* name) {
  const char* last = nullptr;  // which counts, as in the access log
  for (const auto& [key, value] : answer->answer.log_values) {
    if (narwhal::equal_ignoring_case(key, name)) last = value.c_str();
  }
  return last;
}
size_t narwhal_test_interim_count(const narwhal_test_answer* answer) { return answer->answer.interim.size(); }
int narwhal_test_interim_status(const narwhal_test_answer* answer, size_t index) {
  return index < answer->answer.interim.size() ? answer->answer.interim[index].first : 0;
}
const char* narwhal_test_reason(const narwhal_test_answer* answer) { return answer->answer.reason.c_str(); }

// ---- breaches ----

size_t narwhal_test_breach_count(const narwhal_test_worker* worker) {
  return or_abort([&] { return worker->worker->breaches().size(); });
}
const char* narwhal_test_breach(narwhal_test_worker* worker, size_t index) {
  return or_abort([&]() -> const char* {
    const std::vector<std::string> breaches = worker->worker->breaches();
    if (index >= breaches.size()) return nullptr;
    worker->breach = breaches[index];
    return worker->breach.c_str();
  });
}
void narwhal_test_take_breaches(narwhal_test_worker* worker) { worker->worker->take_breaches(); }
void narwhal_test_on_breach(void (*handler)(const char* breach)) {
  if (handler == nullptr) {
    testing::on_breach(nullptr);
  } else {
    testing::on_breach([handler](const std::string& breach) { handler(breach.c_str()); });
  }
}
