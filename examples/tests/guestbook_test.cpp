// A test of guestbook.cpp: entries, what clients do wrong, a database that is full, read-only or locked, several threads.
//   g++ -std=c++20 -o guestbook_test guestbook_test.cpp ../guestbook.cpp -pthread -ldl -lsqlite3 && ./guestbook_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <sqlite3.h>
#include <narwhal/testing.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

using narwhal::testing::Answer;
using narwhal::testing::Client;
using narwhal::testing::ClientRequest;
using narwhal::testing::Settings;
using narwhal::testing::Worker;

namespace {

// A folder for the files of one test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "guestbook-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file() const { return path_ / "entries.db"; }
  Settings settings(const std::string& file_options = "") const {
    return {.options = {{"file", "file:" + file() + file_options}, {"busy", "50"}}};
  }

 private:
  std::filesystem::path path_;
};

ClientRequest entry(const std::string& name, const std::string& text) {
  return {.method = "POST",
          .target = "/entries",
          .body = R"({"name": ")" + name + R"(", "text": ")" + text + "\"}",
          .headers = {{"Content-Type", "application/json"}}};
}

}  // namespace

TEST_CASE("guestbook: entries are added, listed and deleted") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  REQUIRE(worker.boot_error() == "");
  CHECK(worker.get("/entries").body == "[]");
  CHECK(worker.send(entry("Ada", "first")).body == R"({"id":1})");
  CHECK(worker.send(entry("Bob", "second")).status == 201);
  const std::string both = worker.get("/entries").body;
  CHECK(both.find("second") < both.find("first"));
  CHECK(worker.get("/entries?limit=1").body.find("first") == std::string::npos);
  CHECK(worker.get("/entries?before=2").body.find("second") == std::string::npos);
  CHECK(worker.send({.method = "DELETE", .target = "/entries/1"}).status == 204);
  CHECK(worker.send({.method = "DELETE", .target = "/entries/1"}).status == 404);
  CHECK(worker.get("/entries").body.find("first") == std::string::npos);
}

TEST_CASE("guestbook: the page has a form, and shows what visitors wrote as text") {
  const Folder folder;
  Settings settings = folder.settings();
  settings.prefix = "/my";
  Worker worker(narwhal_plugin_v1, settings);
  const Answer added =
      worker.post("/my/", "name=Ada&text=%3Cscript%3E+%26", {{"Content-Type", "application/x-www-form-urlencoded"}});
  CHECK(added.status == 303);
  CHECK(added.header("Location") == "/my/");
  CHECK(worker.get("/my/").body.find("<dd>&lt;script&gt; &amp;\n") != std::string::npos);
}

TEST_CASE("guestbook: what a visitor does wrong is said") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  CHECK(worker.send(entry("", "text")).body == "'name' must have 1 to 100 bytes\n");
  CHECK(worker.send(entry("Ada", std::string(10'001, 'x'))).status == 422);
  CHECK(worker.post("/entries", "{}", {{"Content-Type", "application/json"}}).status == 400);
  CHECK(worker.get("/entries?limit=-1").status == 400);
  CHECK(worker.get("/entries?before=x").status == 400);
}

TEST_CASE("guestbook: a text that is SQL, or has a NUL, is kept as it is") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  CHECK(worker.send(entry("'); DROP TABLE entry; --", "a\\u0000b")).status == 201);
  const std::string listed = worker.get("/entries").body;
  CHECK(listed.find(R"("name":"'); DROP TABLE entry; --","text":"a\u0000b")") != std::string::npos);
}

TEST_CASE("guestbook: entries outlast the worker") {
  const Folder folder;
  { CHECK(Worker(narwhal_plugin_v1, folder.settings()).send(entry("Ada", "kept")).status == 201); }
  CHECK(Worker(narwhal_plugin_v1, folder.settings()).get("/entries").body.find("kept") != std::string::npos);
}

TEST_CASE("guestbook: a file that cannot be opened is named when the worker boots") {
  const std::string error =
      Worker(narwhal_plugin_v1, {.options = {{"file", "/dev/null/x.db"}, {"busy", "0"}}}).boot_error();
  CHECK(error.find("option 'file': '/dev/null/x.db': ") != std::string::npos);
  CHECK(Worker(narwhal_plugin_v1).boot_error().find("'file'") != std::string::npos);
}

TEST_CASE("guestbook: a full database refuses entries until some are deleted, and is read meanwhile") {
  const Folder folder;
  Settings settings = folder.settings();
  settings.options["pages"] = "8";
  Worker worker(narwhal_plugin_v1, settings);
  const ClientRequest large = entry("Ada", std::string(9'000, 'x'));
  Answer answer = worker.send(large);
  REQUIRE(answer.status == 201);
  for (int left = 20; left > 0 && answer.status == 201; --left) answer = worker.send(large);
  CHECK(answer.status == 507);
  CHECK(answer.body == "the guestbook is full\n");
  CHECK(worker.has_logged("POST /entries: SQLite: database or disk is full"));
  CHECK(worker.get("/entries?limit=1").status == 200);
  CHECK(worker.send({.method = "DELETE", .target = "/entries/1"}).status == 204);
  CHECK(worker.send(large).status == 201);
}

TEST_CASE("guestbook: a database that is read-only is read, and says so to writers") {
  const Folder folder;
  Worker writer(narwhal_plugin_v1, folder.settings());
  CHECK(writer.send(entry("Ada", "there")).status == 201);
  Worker worker(narwhal_plugin_v1, folder.settings("?mode=ro"));
  REQUIRE(worker.boot_error() == "");
  CHECK(worker.get("/entries").body.find("there") != std::string::npos);
  CHECK(worker.send(entry("Bob", "not there")).body == "the guestbook cannot be changed now\n");
  CHECK(worker.has_logged("SQLite: attempt to write a readonly database"));
  CHECK(worker.get("/entries").status == 200);
}

TEST_CASE("guestbook: a writer waits for another one, but not for long") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  sqlite3* opened = nullptr;
  REQUIRE(sqlite3_open(folder.file().c_str(), &opened) == SQLITE_OK);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> other(opened, sqlite3_close);
  REQUIRE(sqlite3_exec(opened, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  const Answer answer = worker.send(entry("Ada", "late"));
  CHECK(answer.status == 503);
  CHECK(answer.header("Retry-After") == "1");
  CHECK(worker.get("/entries").body == "[]");  // readers do not wait
  REQUIRE(sqlite3_exec(opened, "ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK);
  CHECK(worker.send(entry("Ada", "late")).status == 201);
}

TEST_CASE("guestbook: threads of several workers write side by side, and no entry is lost") {
  const Folder folder;
  Settings settings = folder.settings();
  settings.threads = 3;
  settings.options["busy"] = "10000";
  Worker one(narwhal_plugin_v1, settings), two(narwhal_plugin_v1, settings);
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(one.begin(entry("one", "x")));
    clients.push_back(two.begin(entry("two", "y")));
  }
  for (Client& client : clients) CHECK(client.answer().status == 201);
  CHECK(one.get("/entries?limit=1").body.find(R"("id":40,)") != std::string::npos);
}
