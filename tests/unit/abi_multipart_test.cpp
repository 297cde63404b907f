#include <doctest/doctest.h>
#include <unistd.h>
#include <narwhal/multipart.hpp>

#include <string>

#include "tests/support/fake_host.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;

namespace {

constexpr const char* type = "multipart/form-data; boundary=XyZ";

std::string field(const std::string& name, const std::string& value) {
  return "--XyZ\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}
std::string file(const std::string& name, const std::string& file_name, const std::string& bytes) {
  return "--XyZ\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + file_name +
         "\"\r\nContent-Type: image/png\r\n\r\n" + bytes + "\r\n";
}
const std::string end = "--XyZ--\r\n";

// A body that comes in pieces of these sizes, in turn.
MultipartReader reader(const std::string& body, std::vector<std::size_t> pieces, MultipartLimits limits = {},
                       std::string content_type = type) {
  auto source = [body, pieces, at = std::size_t{0}, turn = std::size_t{0}](std::span<char> room) mutable {
    const std::size_t size = std::min({room.size(), pieces[turn++ % pieces.size()], body.size() - at});
    std::copy_n(body.data() + at, size, room.data());
    at += size;
    return size;
  };
  return MultipartReader(std::move(source), content_type, limits);
}

// Every part as "name[file name](type)=bytes|"; or the status and text of what was thrown.
std::string parts_of(const std::string& body, std::vector<std::size_t> pieces = {std::size_t{1} << 20},
                     MultipartLimits limits = {}, std::string content_type = type) {
  std::string seen;
  try {
    MultipartReader parts = reader(body, std::move(pieces), limits, std::move(content_type));
    while (const Part* part = parts.next()) {
      seen += part->name;
      if (part->file_name) seen += "[" + *part->file_name + "]";
      if (!part->type.empty()) seen += "(" + part->type + ")";
      seen += "=" + parts.text() + "|";
    }
    CHECK(parts.next() == nullptr);
  } catch (const HttpError& error) {
    return std::to_string(error.status()) + " " + std::string(error.text());
  }
  return seen;
}

}  // namespace

TEST_CASE("multipart: fields and files, in order") {
  CHECK(parts_of(field("a", "1") + file("f", "x.png", "\x89PNG\r\n") + field("a", "") + end) ==
        "a=1|f[x.png](image/png)=\x89PNG\r\n|a=|");
  CHECK(parts_of(end) == "");
  CHECK(parts_of("a preamble\r\n" + field("a", "1") + end + "an epilogue") == "a=1|");
  CHECK(parts_of("--XyZ \t\r\nContent-disposition:form-data;name=a\r\n\r\n1\r\n--XyZ--") == "a=1|");
}

TEST_CASE("multipart: every cut of the body gives the same parts") {
  const std::string body =
      "\r\n" + field("a", "\r\n--Xy\r\n-\r\n--\r\n") + file("f", "x", std::string(100, '\r') + "\r\n--XyY") + end;
  const std::string wanted = parts_of(body);
  CHECK(wanted == "a=\r\n--Xy\r\n-\r\n--\r\n|f[x](image/png)=" + std::string(100, '\r') + "\r\n--XyY|");
  for (std::size_t cut = 1; cut < body.size(); ++cut) CHECK(parts_of(body, {cut, 1 << 20}) == wanted);
  for (std::size_t size = 1; size < 20; ++size) CHECK(parts_of(body, {size}) == wanted);
}

TEST_CASE("multipart: a body that ends anywhere before its end is 400") {
  const std::string body = field("a", "1") + file("f", "x", "bytes") + "--XyZ--";
  for (std::size_t size = 0; size < body.size(); ++size) {
    CAPTURE(size);
    CHECK(parts_of(body.substr(0, size)) == "400 multipart/form-data: the body ends before its last boundary");
  }
}

TEST_CASE("multipart: names as browsers write them") {
  const auto named = [](const std::string& parameters) {
    return parts_of("--XyZ\r\nContent-Disposition: form-data; " + parameters + "\r\n\r\n\r\n" + end);
  };
  CHECK(named("name=\"a%22b%0D%0Ac%20\"") == "a\"b\r\nc%20=|");
  CHECK(named("name=\"a\\\"b\"; filename=\"C:\\dir\\x.txt\"") == "a\"b[C:\\dir\\x.txt]=|");
  CHECK(named("NAME = a ; x ; FileName=\"\"") == "a[]=|");
  CHECK(named("name=\"\xc3\xa9;=\"") == "\xc3\xa9;==|");
  CHECK(named("filename=\"name=x\"") == "400 multipart/form-data: a part without a name");
}

TEST_CASE("multipart: what is not well formed is refused with a reason") {
  CHECK(parts_of("--XyZoo\r\n") == "400 multipart/form-data: text after a boundary");
  CHECK(parts_of("--XyZ\r\nno field\r\n\r\n" + end) ==
        "400 multipart/form-data: a part's head has a line that is not a field");
  CHECK(parts_of("--XyZ\r\nA: b\r\n folded\r\n\r\n" + end) ==
        "400 multipart/form-data: a part's head has a line that is not a field");
  CHECK(parts_of("--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n" + end) ==
        "400 multipart/form-data: a part without a name");
  CHECK(parts_of(end, {100}, {}, "multipart/mixed; boundary=XyZ") == "415 the body must be multipart/form-data");
  CHECK(parts_of(end, {100}, {}, "") == "415 the body must be multipart/form-data");
  for (const std::string& bad :
       {std::string("multipart/form-data"), "multipart/form-data; boundary=" + std::string(71, 'x'),
        std::string("multipart/form-data; boundary=\"\"")}) {
    CHECK(parts_of(end, {100}, {}, bad) == "400 multipart/form-data: the boundary must have 1 to 70 characters");
  }
  CHECK(parts_of("--a b\r\n\r\n", {100}, {}, "multipart/form-data; boundary=\"a b\"") ==
        "400 multipart/form-data: a part without a name");
}

TEST_CASE("multipart: each limit is 413, and what is just within it is taken") {
  const std::string body = field("a", "12345") + field("b", "1234567890") + end;
  const std::string wanted = "a=12345|b=1234567890|";
  CHECK(parts_of(body, {64}, {.parts = 2}) == wanted);
  CHECK(parts_of(body, {64}, {.parts = 1}) == "413 the form has too many parts");
  CHECK(parts_of(body, {64}, {.text_bytes = 10}) == wanted);
  CHECK(parts_of(body, {64}, {.text_bytes = 9}) == "413 the field 'b' is too long");
  CHECK(parts_of(body, {64}, {.part_bytes = 10}) == wanted);
  CHECK(parts_of(body, {64}, {.part_bytes = 9}) == "413 a part of the form is too large");
  CHECK(parts_of(body, {64}, {.total_bytes = 15}) == wanted);
  CHECK(parts_of(body, {64}, {.total_bytes = 14}) == "413 the form is too large");
  CHECK(parts_of(body, {64}, {.head_bytes = 40}) == wanted);
  CHECK(parts_of(body, {64}, {.head_bytes = 30}) == "413 a part's head is too large");
  CHECK(parts_of(std::string(100'000, 'x')) == "413 a part of the form is too large");  // a preamble
  CHECK(parts_of("--XyZ\r\nA: " + std::string(100'000, 'x')) == "413 a part's head is too large");
  CHECK(parts_of("--XyZ" + std::string(100, ' ')) == "413 multipart/form-data: a boundary's line is too long");
}

TEST_CASE("multipart: a part that is not read is skipped, a large one passes through a small buffer") {
  const std::string large(300'000, 'x');
  MultipartReader parts =
      reader(file("skipped", "x", large) + file("f", "y", large) + field("last", "z") + end, {4096});
  REQUIRE(parts.next()->name == "skipped");
  char byte = 0;
  CHECK(parts.read({&byte, 1}) == 1);
  REQUIRE(parts.next()->name == "f");
  const Folder folder;
  const std::string path = folder.write("saved", "");
  const int fd = ::open(path.c_str(), O_WRONLY);
  CHECK(parts.save(fd) == large.size());
  ::close(fd);
  CHECK(read_all(path) == large);
  CHECK(parts.read({&byte, 1}) == 0);
  CHECK_THROWS_WITH_AS(
      [&] {
        MultipartReader unwritable = reader(file("f", "x", "y") + end, {4096});
        unwritable.next();
        unwritable.save(-1);
      }(),
      "an upload: write: Bad file descriptor", std::system_error);
  CHECK(parts.next()->name == "last");
}

TEST_CASE("multipart: a request's body, whole or streamed") {
  const auto app = [](const Request& request) {
    MultipartReader parts(request);
    std::string text;
    while (const Part* part = parts.next()) text += part->name + "=" + parts.text() + ";";
    return Response::text(text);
  };
  for (const bool streamed : {false, true}) {
    const Ask upload{.method = "POST",
                     .body = field("a", "1") + file("f", "x", "y") + end,
                     .headers = {{"Content-Type", type}},
                     .streamed = streamed,
                     .read_max = 5};
    CHECK(ask(app, upload).body == "a=1;f=y;");
  }
  CHECK(ask(app, {.method = "POST"}).status == 415);
}
