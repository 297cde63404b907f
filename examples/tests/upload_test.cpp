// A test of upload.cpp: files appear whole or not at all, whatever the client does.
//   g++ -std=c++20 -o upload_test upload_test.cpp ../upload.cpp -pthread -ldl && ./upload_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using narwhal::testing::Answer;
using narwhal::testing::Client;
using narwhal::testing::ClientRequest;
using narwhal::testing::Fields;
using narwhal::testing::Settings;
using narwhal::testing::Worker;

namespace {

const Fields form_type{{"Content-Type", "multipart/form-data; boundary=B"}};
const std::string form_end = "--B--\r\n";

// A new folder, which is removed at the end.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/upload_test.XXXXXX";
    path_ = ::mkdtemp(name) != nullptr ? name : throw std::runtime_error("mkdtemp");
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
    return names;
  }
  Settings settings(std::map<std::string, std::string> others = {}) const {
    others.insert({"folder", path_});
    return {.options = std::move(others), .threads = 2};
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string file_part(const std::string& file_name, const std::string& bytes) {
  return "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + file_name + "\"\r\n\r\n" + bytes +
         "\r\n";
}

}  // namespace

TEST_CASE("upload: a file can be read again, whole, in parts, or only if it is new") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  std::string bytes(300'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 % 256);
  const Answer made = worker.post("/files", file_part("../../a b.html", bytes) + form_end, form_type);
  REQUIRE(made.status == 201);
  const std::string target = made.header("Location");
  CHECK(folder.names() == std::vector<std::string>{target.substr(7)});
  CHECK(worker.has_logged("'../../a b.html' is now " + target.substr(7) + ", 300000 bytes"));
  CHECK(worker.get("/").body.find("<a href=\"" + target + "\">") != std::string::npos);

  const Answer whole = worker.get(target);
  CHECK(whole.body == bytes);
  CHECK(whole.header("Content-Type") == "application/octet-stream");
  CHECK(whole.header("Content-Disposition") == "attachment; filename=\"" + target.substr(7) + "\"");
  CHECK(whole.header("X-Content-Type-Options") == "nosniff");
  const Answer part = worker.get(target, {{"Range", "bytes=100-102"}});
  CHECK(part.status == 206);
  CHECK(part.body == bytes.substr(100, 3));
  CHECK(worker.get(target, {{"If-None-Match", whole.header("ETag")}}).status == 304);
  CHECK(worker.send({.method = "HEAD", .target = target}).header("Content-Length") == "300000");
}

TEST_CASE("upload: of a form with several files all are kept, other fields are not") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  const std::string text = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n";
  CHECK(worker.post("/files", file_part("a", "1") + text + file_part("a", "") + form_end, form_type).status == 201);
  CHECK(folder.names().size() == 2);
  CHECK(worker.post("/files", text + file_part("", "") + form_end, form_type).body == "the form has no file\n");
  std::string many;
  for (int i = 0; i < 11; ++i) many += file_part("a", "1");
  CHECK(worker.post("/files", many + form_end, form_type).status == 413);
  CHECK(folder.names().size() == 2);
}

TEST_CASE("upload: nothing but an id names a file") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  const std::string id(32, '0');
  std::ofstream(folder.path() + "/secret") << "x";
  std::ofstream(folder.path() + "/.unfinished-" + id) << "x";
  std::ofstream(folder.path() + "/" + id) << "x";
  CHECK(worker.get("/files/" + id).status == 200);
  for (const char* name :
       {"secret", ".unfinished-00000000000000000000000000000000", "..%2fsecret", "%2e%2e", "secret%00",
        "0000000000000000000000000000000g", "1000000000000000000000000000000000", "%2Fetc%2Fpasswd"}) {
    CAPTURE(name);
    CHECK(worker.get(std::string("/files/") + name).status == 404);
  }
  CHECK(worker.get("/").body.find("secret") == std::string::npos);
}

TEST_CASE("upload: a file is not seen before it is whole, and not at all when its client leaves") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  const std::string part = file_part("film", std::string(100'000, 'x'));
  const ClientRequest half{
      .method = "POST", .target = "/files", .body = part.substr(0, 90'000), .headers = form_type, .body_follows = true};
  Client client = worker.begin(half);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (folder.names().empty() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  REQUIRE(folder.names().size() == 1);
  CHECK(worker.get("/").body.find("<a ") == std::string::npos);
  SUBCASE("the client leaves") {
    client.leave();
    client.wait_for_return();
    CHECK(folder.names().empty());
  }
  SUBCASE("the client goes on, and meanwhile other workers start and remove what is left of a crash") {
    std::ofstream(folder.path() + "/.unfinished-00000000000000000000000000000000") << "x";
    Worker next(narwhal_plugin_v1, folder.settings());
    CHECK(folder.names().size() == 1);
    client.send_body(part.substr(90'000) + form_end);
    client.end_body();
    const Answer answer = client.answer();
    REQUIRE(answer.status == 201);
    CHECK(next.get(answer.header("Location")).body == std::string(100'000, 'x'));
  }
}

TEST_CASE("upload: a form that is cut or has one file that is too large leaves nothing") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings({{"file_max", "1000"}}));
  const std::string good = file_part("a", std::string(1000, 'x'));
  CHECK(worker.post("/files", good, form_type).status == 400);
  CHECK(worker.post("/files", good + file_part("b", std::string(1001, 'x')) + form_end, form_type).status == 413);
  CHECK(worker.post("/files", "x", {{"Content-Type", "text/plain"}}).status == 415);
  CHECK(folder.names().empty());
  CHECK(worker.post("/files", good + form_end, form_type).status == 201);
}

TEST_CASE("upload: a body that says that it is too large is refused before it is sent") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings({{"file_max", "1000"}}));
  Fields fields = form_type;
  fields.emplace_back("Content-Length", "2000000");
  Client client = worker.begin({.method = "POST", .target = "/files", .headers = fields, .body_follows = true});
  CHECK(client.answer().status == 413);
}

TEST_CASE("upload: a folder that has gone is said in the log, and the worker goes on") {
  const Folder folder;
  Worker worker(narwhal_plugin_v1, folder.settings());
  std::filesystem::remove_all(folder.path());
  const Answer refused = worker.post("/files", file_part("a", "1") + form_end, form_type);
  CHECK(refused.status == 500);
  CHECK(refused.body == "the files cannot be kept now\n");
  CHECK(worker.has_logged("POST /files: open " + folder.path() + "/.unfinished-"));
  std::filesystem::create_directory(folder.path());
  CHECK(worker.post("/files", file_part("a", "1") + form_end, form_type).status == 201);
}

TEST_CASE("upload: options that cannot be are refused") {
  const Folder folder;
  CHECK(Worker(narwhal_plugin_v1).boot_error().find("folder") != std::string::npos);
  CHECK(Worker(narwhal_plugin_v1, {.options = {{"folder", "/no/such"}}})
            .boot_error()
            .ends_with("option 'folder': /no/such: No such file or directory"));
  CHECK(Worker(narwhal_plugin_v1, folder.settings({{"file_max", "0"}})).boot_error().find("file_max") !=
        std::string::npos);
}
