// A test of notes.cpp: JSON in and out, errors as JSON, a task that another request ends, uploads.
//   g++ -std=c++20 -o notes_test notes_test.cpp ../notes.cpp -pthread -ldl && ./notes_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

using narwhal::testing::Answer;
using narwhal::testing::Client;
using narwhal::testing::Worker;

namespace {

Answer add(Worker& worker, const std::string& json) {
  return worker.post("/api/notes", json, {{"Content-Type", "application/json"}});
}

}  // namespace

TEST_CASE("notes: a note is added, shown, listed and removed") {
  Worker worker(narwhal_plugin_v1);
  const Answer made = add(worker, R"({"title": "milk & <b>"})");
  CHECK(made.status == 201);
  CHECK(made.header("Location") == "/api/notes/1");
  CHECK(worker.get("/api/notes/1").body == R"({"id":1,"title":"milk & <b>"})");
  CHECK(worker.get("/").body.find(R"(<a href="/api/notes/1">milk &amp; &lt;b&gt;</a>)") != std::string::npos);
  add(worker, R"({"title": "tea"})");
  CHECK(worker.get("/api/notes?limit=1").body == R"([{"id":1,"title":"milk & <b>"}])");
  CHECK(worker.send({.method = "DELETE", .target = "/api/notes/1"}).status == 204);
  CHECK(worker.get("/api/notes/1").body == R"({"error":"there is no such note"})");
}

TEST_CASE("notes: what a client does wrong is said as JSON") {
  Worker worker(narwhal_plugin_v1);
  CHECK(add(worker, "{}").body == R"({"error":"the JSON member 'title' is missing"})");
  CHECK(add(worker, R"({"title": ""})").status == 422);
  CHECK(add(worker, "{").status == 400);
  CHECK(worker.post("/api/notes", "{}", {{"Content-Type", "text/plain"}}).status == 415);
}

TEST_CASE("notes: who waits for a note gets it when it is added, or is sent away when the worker leaves") {
  Worker worker(narwhal_plugin_v1);
  Client first = worker.begin({.target = "/api/notes/1/wait"}), gone = worker.begin({.target = "/api/notes/1/wait"});
  CHECK(first.wait_for_return());
  CHECK(gone.wait_for_return());
  gone.leave();
  CHECK(add(worker, R"({"title": "tea"})").status == 201);
  CHECK(first.answer().body == R"({"id":1,"title":"tea"})");
  Client last = worker.begin({.target = "/api/notes/2/wait"});
  CHECK(last.wait_for_return());
  worker.drain();
  CHECK(last.answer().status == 503);
}

TEST_CASE("notes: an upload is kept in the folder and sent back") {
  const std::string form =
      "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../x\"\r\n\r\nabc\r\n--B--\r\n";
  const narwhal::testing::Fields type{{"Content-Type", "multipart/form-data; boundary=B"}};
  CHECK(Worker(narwhal_plugin_v1).post("/files", form, type).status == 501);
  char folder[] = "/tmp/notes_test.XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  {
    Worker worker(narwhal_plugin_v1, {.options = {{"folder", folder}}});
    const Answer kept = worker.post("/files", form, type);
    CHECK(kept.status == 303);
    CHECK(worker.get(kept.header("Location")).body == "abc");
  }
  std::filesystem::remove_all(folder);
}
