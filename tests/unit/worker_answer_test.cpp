// How answers leave a worker: files by the kernel alone, interim answers that a client is too slow for.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include <atomic>

#include "tests/support/worker_conversation.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_in_process.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

std::atomic<std::uint64_t> bytes_by_sendfile{0};

// A file that lives as long as its descriptor.
Fd file_of(std::string_view bytes) {
  Fd file(::memfd_create("answer", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return file;
}

int inform(narwhal_exchange* exchange, std::string_view value) {
  const narwhal_field field = {bytes_of("X-Number"), bytes_of(value)};
  return host_table.inform(exchange, 103, &field, 1);
}

}  // namespace

extern "C" ssize_t sendfile(int out, int in, off_t* offset, size_t count) noexcept {
  const ssize_t sent = ::syscall(SYS_sendfile, out, in, offset, count);
  if (sent > 0) bytes_by_sendfile += static_cast<std::uint64_t>(sent);
  return sent;
}

TEST_CASE("answer: a file goes from the kernel to the kernel, framed or in a chunk") {
  Watchdog dog("send_file", 60s);
  const std::string bytes(100'000, 'f');
  const Fd file = file_of(bytes);
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       const bool known = path_of(exchange) == "/known";
                       CHECK(start(exchange, known ? 90'000 : -1) == NARWHAL_OK);
                       CHECK(host_table.send_file(exchange, file.get(), 10'000, 90'000) == NARWHAL_OK);
                       CHECK(host_table.send_file(exchange, -1, 0, 1) == NARWHAL_ERROR);
                       return host_table.finish(exchange);
                     }}},
                   config_of(1));
  Client client(server);
  for (const std::string target : {"/known", "/chunked"}) {
    bytes_by_sendfile = 0;
    client.get(target);
    const Answer answer = client.answer();
    CHECK(answer.whole);
    CHECK(answer.body == bytes.substr(10'000));
    // All of it, where the socket had the room. The client may be quicker than the count.
    CHECK(eventually([] { return bytes_by_sendfile > 0; }));
  }
}

TEST_CASE("answer: what send_file() did not take is missed at the end") {
  Watchdog dog("send_file fails", 60s);
  const Fd file = file_of("0123456789");
  std::atomic<int> finished{99};
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       CHECK(start(exchange, 20) == NARWHAL_OK);
                       CHECK(host_table.send_file(exchange, file.get(), 5, 6) == NARWHAL_ERROR);
                       CHECK(host_table.send_file(exchange, file.get(), 5, 5) == NARWHAL_OK);
                       CHECK(host_table.send_file(exchange, file.get(), 0, 16) == NARWHAL_ERROR);
                       CHECK(write(exchange, "0123456789") == NARWHAL_OK);
                       CHECK(write(exchange, "012345") == NARWHAL_STATE);
                       finished = host_table.finish(exchange);
                       return NARWHAL_OK;
                     }}},
                   config_of(1));
  Client client(server);
  client.get("/");
  CHECK_FALSE(client.answer().whole);
  CHECK(client.was_reset());
  CHECK(finished == NARWHAL_STATE);
}

TEST_CASE("answer: interim answers do not pile up before a client that takes none") {
  Watchdog dog("a flood of interim answers", 60s);
  Config config = config_of(1);
  config.response_buffer_size = 4096;
  std::atomic<int> sent{0};
  std::atomic<bool> slow{false};
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       const std::string value(1000, 'x');
                       int code;
                       while ((code = inform(exchange, value)) == NARWHAL_OK) ++sent;
                       slow = code == NARWHAL_AGAIN;
                       return respond(exchange, "done");
                     }}},
                   config);
  Client client(server, 4096);
  client.get("/");
  CHECK(eventually([&] { return slow.load(); }));
  int got = 0;
  Answer answer;
  while ((answer = client.answer()).status == 103) ++got;
  CHECK(answer.body == "done");
  CHECK(got == sent);
}
