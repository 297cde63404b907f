// Each breach of plugin.h in an answer that the harness finds, planted once: what it says names plugin, call and request.
#include "tests/support/planted.hpp"

using namespace planted;

namespace {

const std::vector<Planted> answers = {
    {"plugin 'planted' called respond() for GET /: the response has ended already",
     [](void*, narwhal_exchange* exchange) {
       respond(exchange);
       CHECK(respond(exchange, "again") == NARWHAL_STATE);
       return NARWHAL_OK;
     }},
    {"plugin 'planted' called finish() for GET /: the response has ended already",
     [](void*, narwhal_exchange* exchange) {
       finish_after(exchange);
       CHECK(host->finish(exchange) == NARWHAL_STATE);
       return NARWHAL_OK;
     }},
    {"plugin 'planted' called fail() for GET /: the response has ended already",
     [](void*, narwhal_exchange* exchange) {
       respond(exchange);
       CHECK(host->fail(exchange, 500, bytes_of("late")) == NARWHAL_STATE);
       return NARWHAL_OK;
     }},
    {"plugin 'planted' called start() for GET /: the head of the response has been given already",
     [](void*, narwhal_exchange* exchange) {
       start(exchange);
       CHECK(start(exchange) == NARWHAL_STATE);
       return host->finish(exchange);
     }},
    {"plugin 'planted' called write() for GET /: start() has not been called",
     [](void*, narwhal_exchange* exchange) {
       CHECK(write(exchange, "x") == NARWHAL_STATE);
       return respond(exchange);
     }},
    {"plugin 'planted' called finish() for GET /: start() has not been called",
     [](void*, narwhal_exchange* exchange) {
       CHECK(host->finish(exchange) == NARWHAL_STATE);
       return respond(exchange);
     }},
    {"plugin 'planted' called write() for GET /: 5 bytes are more than the 3 that the declared length leaves",
     [](void*, narwhal_exchange* exchange) {
       start(exchange, 3);
       CHECK(write(exchange, "12345") == NARWHAL_STATE);
       write(exchange, "123");
       return host->finish(exchange);
     }},
    {"plugin 'planted' called finish() for GET /: the response is 7 bytes short of its declared length",
     [](void*, narwhal_exchange* exchange) {
       start(exchange, 10);
       write(exchange, "123");
       CHECK(host->finish(exchange) == NARWHAL_STATE);
       return NARWHAL_OK;
     }},
    {"plugin 'planted' returned NARWHAL_OK from handle() for GET /: there is no answer: call respond(), or start() and "
     "finish(), or return NARWHAL_DEFERRED",
     [](void*, narwhal_exchange*) { return NARWHAL_OK; }},
    {"plugin 'planted' returned NARWHAL_OK from handle() for GET /: the response was started and not finished, so that "
     "it is cut off: call finish()",
     [](void*, narwhal_exchange* exchange) { return start(exchange); }},
    {"plugin 'planted' returned 7 from handle() for GET /: return NARWHAL_OK, NARWHAL_DEFERRED, or NARWHAL_ERROR to "
     "NARWHAL_REFUSED",
     [](void*, narwhal_exchange* exchange) {
       respond(exchange);
       return 7;
     }},
    {"plugin 'planted' returned NARWHAL_NO_APP from handle() for GET /: ...",
     [](void*, narwhal_exchange*) { return NARWHAL_NO_APP; }},
    {"plugin 'planted' let an exception leave handle() for GET /: the till is jammed: catch it; the server would crash",
     [](void*, narwhal_exchange*) -> int { throw std::runtime_error("the till is jammed"); }},
};

const std::vector<Planted> wire = {
    {"plugin 'planted' called respond() for GET /: it may not go on the wire: control byte in a field's value: 'X-A'",
     [](void*, narwhal_exchange* exchange) { return respond_with(exchange, "X-A", "a\r\nSet-Cookie: b"); }},
    {"plugin 'planted' called respond() for GET /: it may not go on the wire: control byte in a field's value: 'X-B'",
     [](void*, narwhal_exchange* exchange) { return respond_with(exchange, "X-B", std::string_view("a\0b", 3)); }},
    {"plugin 'planted' called respond() for GET /: it may not go on the wire: field name is not a token: 'X A'",
     [](void*, narwhal_exchange* exchange) { return respond_with(exchange, "X A", "a"); }},
    {"plugin 'planted' called respond() for GET /: it may not go on the wire: status is not between 200 and 599",
     [](void*, narwhal_exchange* exchange) {
       const narwhal_response response = response_of(99);
       CHECK(host->respond(exchange, &response) == NARWHAL_REFUSED);
       return respond(exchange);
     }},
    {"plugin 'planted' called respond() for GET /: it may not go on the wire: control byte in the reason phrase",
     [](void*, narwhal_exchange* exchange) {
       narwhal_response response = response_of();
       response.reason = bytes_of("O\nK");
       CHECK(host->respond(exchange, &response) == NARWHAL_REFUSED);
       return respond(exchange);
     }},
    {"plugin 'planted' called start() for GET /: it may not go on the wire: Content-Length is not a number, or there "
     "are "
     "two",
     [](void*, narwhal_exchange* exchange) {
       narwhal_response response = response_of(200, "");
       const narwhal_field field = {bytes_of("Content-Length"), bytes_of("many")};
       response.fields = &field;
       response.field_count = 1;
       response.body_size = -1;
       CHECK(host->start(exchange, &response) == NARWHAL_REFUSED);
       return respond(exchange);
     }},
    {"plugin 'planted' called inform() for GET /: it may not go on the wire: interim status is not between 102 and 199",
     [](void*, narwhal_exchange* exchange) {
       CHECK(host->inform(exchange, 100, nullptr, 0) == NARWHAL_REFUSED);
       return respond(exchange);
     }},
    {"plugin 'planted' called inform() for GET /: the head of the response has been given already",
     [](void*, narwhal_exchange* exchange) {
       start(exchange);
       CHECK(host->inform(exchange, 103, nullptr, 0) == NARWHAL_STATE);
       return host->finish(exchange);
     }},
    {"plugin 'planted' called trailers() for GET /: it may not go on the wire: field may not be a trailer: "
     "'Content-Length'",
     [](void*, narwhal_exchange* exchange) {
       const narwhal_field field = {bytes_of("Content-Length"), bytes_of("1")};
       start(exchange);
       CHECK(host->trailers(exchange, &field, 1) == NARWHAL_REFUSED);
       return host->finish(exchange);
     }},
    {"plugin 'planted' called trailers() for GET /: start() has not been called",
     [](void*, narwhal_exchange* exchange) {
       CHECK(host->trailers(exchange, nullptr, 0) == NARWHAL_STATE);
       return respond(exchange);
     }},
    {"plugin 'planted' called fail() for GET /: status 200 is not between 400 and 599: the client gets 500",
     [](void*, narwhal_exchange* exchange) { return host->fail(exchange, 200, bytes_of("why")); }},
    {"plugin 'planted' called respond() for GET /: the struct_size of its narwhal_response is 0: set it to "
     "sizeof(narwhal_response)",
     [](void*, narwhal_exchange* exchange) {
       narwhal_response response = response_of();
       response.struct_size = 0;
       CHECK(host->respond(exchange, &response) == NARWHAL_REFUSED);
       return respond(exchange);
     }},
    {"plugin 'planted' called write() for GET /: unknown flags: NARWHAL_NOWAIT is the only one",
     [](void*, narwhal_exchange* exchange) {
       start(exchange);
       CHECK(write(exchange, "x", 6) == NARWHAL_REFUSED);
       return host->finish(exchange);
     }},
    {"plugin 'planted' called write_lent() for GET /: without a release function: use write()",
     [](void*, narwhal_exchange* exchange) {
       start(exchange);
       host->write_lent(exchange, bytes_of("x"), 0, nullptr, nullptr);
       return host->finish(exchange);
     }},
};

}  // namespace

TEST_CASE("breaches: an answer that is not one") {
  for (const Planted& planted : answers) check(planted);
}
TEST_CASE("breaches: what may not go on the wire, and arguments that nobody knows") {
  for (const Planted& planted : wire) check(planted);
}
