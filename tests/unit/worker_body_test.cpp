#include "worker/body.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::worker;

namespace {

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t at = 0; at < size; ++at) text[at] = static_cast<char>('a' + at * 7 % 26);
  return text;
}

Result<Done> append_in_pieces(Body& body, std::string_view text, std::size_t piece, std::size_t memory_max,
                              const std::string& folder) {
  while (!text.empty()) {
    const std::string_view next = text.substr(0, piece);
    if (Result<Done> done = body.append(next, memory_max, folder); !done) return done;
    text.remove_prefix(next.size());
  }
  return Done{};
}

std::string read_in_pieces(Body& body, std::size_t piece) {
  std::string all, buffer(piece, '\0');
  while (true) {
    const std::int64_t got = body.read(buffer.data(), piece);
    REQUIRE(got >= 0);
    if (got == 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// No file of this process may grow past the limit, as on a full disk (EFBIG instead of ENOSPC).
class FilesCut {
 public:
  explicit FilesCut(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    former_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit cut{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &cut);
  }
  ~FilesCut() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, former_);
  }

 private:
  rlimit before_{};
  void (*former_)(int) = nullptr;
};

}  // namespace

TEST_CASE("body: an empty one is empty in every way") {
  Body body;
  CHECK(body.size() == 0);
  CHECK(body.fd() == -1);
  CHECK(or_throw(body.view()).empty());
  char byte;
  CHECK(body.read(&byte, 1) == 0);
}

TEST_CASE("body: up to the bound it is in memory, one byte more and it is in a file") {
  const Folder folder;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}, std::size_t{5000}}) {
    CAPTURE(piece);
    for (const std::size_t size : {std::size_t{999}, std::size_t{1000}, std::size_t{1001}, std::size_t{4321}}) {
      CAPTURE(size);
      Body body;
      const std::string text = pattern(size);
      REQUIRE(append_in_pieces(body, text, piece, 1000, folder.path()));
      CHECK(body.size() == size);
      CHECK((body.fd() >= 0) == (size > 1000));
      CHECK(or_throw(body.view()) == text);
      CHECK(read_in_pieces(body, 97) == text);
    }
  }
  CHECK(std::filesystem::is_empty(folder.path()));  // its file has no name
}

TEST_CASE("body: a bound of nothing sends everything to a file") {
  const Folder folder;
  Body body;
  REQUIRE(body.append("x", 0, folder.path()));
  CHECK(body.fd() >= 0);
  CHECK(or_throw(body.view()) == "x");
}

TEST_CASE("body: the file is private to the server") {
  const Folder folder;
  Body body;
  REQUIRE(body.append("secret", 0, folder.path()));
  struct stat file {};
  REQUIRE(::fstat(body.fd(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0600);
  CHECK(file.st_nlink == 0);
  CHECK((::fcntl(body.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("body: view and read do not disturb each other") {
  const Folder folder;
  for (const std::size_t memory_max : {std::size_t{10'000}, std::size_t{10}}) {
    CAPTURE(memory_max);
    Body body;
    const std::string text = pattern(5'000);
    REQUIRE(body.append(text, memory_max, folder.path()));
    char some[100];
    CHECK(body.read(some, sizeof some) == 100);
    CHECK(std::string_view(some, 100) == text.substr(0, 100));
    CHECK(or_throw(body.view()) == text);
    CHECK(or_throw(body.view()).data() == or_throw(body.view()).data());  // mapped once
    CHECK(read_in_pieces(body, 333) == text.substr(100));
    char byte;
    CHECK(body.read(&byte, 1) == 0);  // the end stays the end
  }
}

TEST_CASE("body: borrowed bytes are not copied") {
  Body body;
  const std::string text = pattern(300);
  body.borrow(text);
  CHECK(body.size() == 300);
  CHECK(body.fd() == -1);
  CHECK(or_throw(body.view()).data() == text.data());
  CHECK(read_in_pieces(body, 7) == text);
}

TEST_CASE("body: after clear() it is as new, whatever it held") {
  const Folder folder;
  Body body;
  const std::string text = pattern(200'000), other = pattern(50);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(body.append(text, 100, folder.path()));
    CHECK(or_throw(body.view()) == text);
    const int fd = body.fd();
    body.clear();
    CHECK(::fcntl(fd, F_GETFD) == -1);  // closed
    CHECK(body.size() == 0);
    REQUIRE(body.append(text, 1'000'000, folder.path()));
    CHECK(read_in_pieces(body, 4096) == text);
    body.clear();
    body.borrow(other);
    CHECK(read_in_pieces(body, 10) == other);
    body.clear();
    CHECK(or_throw(body.view()).empty());
  }
}

TEST_CASE("body: a folder that is not there is an error with its name, and no crash after it") {
  const Folder folder;
  Body body;
  const Result<Done> kept = body.append("xyz", 1, folder.path("missing"));
  REQUIRE_FALSE(kept);
  CHECK(kept.error() ==
        "make a file for a request body in " + folder.path("missing") + " (tmp_upload_dir): No such file or directory");
  body.clear();
  REQUIRE(body.append("xyz", 100, folder.path("missing")));  // small ones need no folder
  CHECK(or_throw(body.view()) == "xyz");
}

TEST_CASE("body: a full disk is an error, at the first byte that is spooled or at a later one") {
  const Folder folder;
  const FilesCut cut(64 * 1024);
  for (const std::size_t memory_max : {std::size_t{100}, std::size_t{100 * 1024}}) {
    CAPTURE(memory_max);
    Body body;
    const Result<Done> kept = append_in_pieces(body, pattern(300 * 1024), 10'000, memory_max, folder.path());
    REQUIRE_FALSE(kept);
    CHECK(kept.error() == "write a request body to a file in " + folder.path() + " (tmp_upload_dir): File too large");
    body.clear();
    REQUIRE(body.append("again", 100, folder.path()));
    CHECK(or_throw(body.view()) == "again");
  }
}
