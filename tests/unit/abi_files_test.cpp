// Conditional and partial answers: dates, entity tags, ranges, files.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <narwhal/files.hpp>

#include <string>

#include "tests/support/fake_host.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;

namespace {

constexpr std::int64_t example = 784111777;  // RFC 9110 5.6.7

// A file of the size of a small page that has been there for years.
struct OldFile {
  OldFile() : path(folder.write("page.html", content)) {
    const timespec times[2] = {{example, 0}, {example, 0}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    etag = ask_for({}).header("ETag");
  }
  Answer ask_for(Pairs headers, std::string method = "GET") const {
    return ask([this](const Request& request) { return send_file(request, path); },
               {.method = std::move(method), .headers = std::move(headers)});
  }
  const std::string content = "0123456789abcdefghij";
  Folder folder;
  std::string path, etag;
};

AskedRanges ranges(std::string_view field, std::int64_t size = 100) { return parse_ranges(field, size); }
bool is_whole(std::string_view field) { return ranges(field).kind == AskedRanges::Kind::whole; }
using Parts = std::vector<ByteRange>;

}  // namespace

TEST_CASE("dates: the three forms mean the same, and one is written") {
  CHECK(write_http_date(example) == "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    CAPTURE(text);
    CHECK(parse_http_date(text) == example);
  }
  CHECK(parse_http_date("Sun, 06-Nov-30 08:49:37 GMT") == 1920185377);
  CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
  CHECK(write_http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(write_http_date(-1) == "Wed, 31 Dec 1969 23:59:59 GMT");
  CHECK(write_http_date(951782400) == "Tue, 29 Feb 2000 00:00:00 GMT");
  for (const char* bad :
       {"", "x", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "06 Nov 1994 08:49:37 GMT"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_http_date(bad).has_value());
  }
}

TEST_CASE("dates: what is written is read back, on every kind of day") {
  for (std::int64_t seconds = -2'000'000'000; seconds < 5'000'000'000; seconds += 86'399 * 97) {
    CHECK(parse_http_date(write_http_date(seconds)) == seconds);
  }
}

TEST_CASE("entity tags: lists, any, weak and strong") {
  CHECK(lists_tag("*", "\"a\"", true));
  CHECK(lists_tag("\"a\"", "\"a\"", true));
  CHECK(lists_tag("\"b\", \"a\"", "\"a\"", true));
  CHECK(lists_tag("\"b,\" , ,\"a\"", "\"a\"", true));
  CHECK(lists_tag("W/\"a\"", "\"a\"", false));
  CHECK(lists_tag("\"a\"", "W/\"a\"", false));
  CHECK_FALSE(lists_tag("W/\"a\"", "\"a\"", true));
  CHECK_FALSE(lists_tag("\"a\"", "W/\"a\"", true));
  for (const char* none : {"", "\"b\"", "a", "\"a", "w/\"a\"", "\"ab\"", "x\"a\""}) {
    CAPTURE(none);
    CHECK_FALSE(lists_tag(none, "\"a\"", false));
  }
  CHECK_FALSE(lists_tag("\"\"", "", false));
}

TEST_CASE("ranges: each form, cut to the size") {
  CHECK(ranges("bytes=0-9").parts == Parts{{0, 9}});
  CHECK(ranges("BYTES=90-").parts == Parts{{90, 99}});
  CHECK(ranges("bytes=-10").parts == Parts{{90, 99}});
  CHECK(ranges("bytes=-1000").parts == Parts{{0, 99}});
  CHECK(ranges("bytes=90-1000").parts == Parts{{90, 99}});
  CHECK(ranges("bytes=0-99999999999999999999").parts == Parts{{0, 99}});
  CHECK(ranges("bytes=0-0, ,-1\t,  50-59").parts == Parts{{0, 0}, {99, 99}, {50, 59}});
  CHECK(ranges("bytes=5-6,200-300").parts == Parts{{5, 6}});
}

TEST_CASE("ranges: what exists nowhere is unsatisfiable") {
  for (const char* field : {"bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"}) {
    CAPTURE(field);
    CHECK(ranges(field).kind == AskedRanges::Kind::unsatisfiable);
  }
}

TEST_CASE("ranges: what is not a list of ranges, or asks for too much, gets everything") {
  for (const char* field :
       {"", "bytes", "bytes=", "bytes=,", "lines=0-1", "bytes=1", "bytes=a-b", "bytes=-", "bytes=--1", "bytes=5-4",
        "bytes=0-1-2", "bytes= 0 -1", "bytes=0x1-2", "bytes=+1-2", "bytes 0-1"}) {
    CAPTURE(field);
    CHECK(is_whole(field));
  }
  CHECK(is_whole("bytes=0-10,5-20"));  // overlap
  CHECK(is_whole("bytes=0-,0-,0-"));
  std::string many = "bytes=0-0";
  for (int i = 1; i <= 16; ++i) many += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  CHECK(is_whole(many));
  CHECK(ranges("bytes=0-", 0).kind == AskedRanges::Kind::whole);
}

TEST_CASE("files: the whole one, with its type and validators") {
  const OldFile file;
  const Answer answer = file.ask_for({});
  CHECK(answer.status == 200);
  CHECK(answer.body == file.content);
  CHECK(answer.header("Content-Type") == "text/html; charset=utf-8");
  CHECK(answer.header("Last-Modified") == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(answer.header("Accept-Ranges") == "bytes");
  CHECK(file.etag.starts_with('"'));
}

TEST_CASE("files: the client's version is 304, in the RFC's order of conditions") {
  const OldFile file;
  const std::string date = "Sun, 06 Nov 1994 08:49:37 GMT", before = "Sat, 05 Nov 1994 08:49:37 GMT";
  struct Row {
    Pairs headers;
    int status;
  };
  const Row rows[] = {{{{"If-None-Match", file.etag}}, 304},
                      {{{"If-None-Match", "W/" + file.etag}}, 304},
                      {{{"If-None-Match", "*"}}, 304},
                      {{{"If-None-Match", "\"x\""}, {"If-None-Match", file.etag}}, 304},
                      {{{"If-None-Match", "\"x\""}}, 200},
                      {{{"If-None-Match", "\"x\""}, {"If-Modified-Since", date}}, 200},
                      {{{"If-Modified-Since", date}}, 304},
                      {{{"If-Modified-Since", before}}, 200},
                      {{{"If-Modified-Since", "yesterday"}}, 200},
                      {{{"If-Match", file.etag}}, 200},
                      {{{"If-Match", "W/" + file.etag}}, 412},
                      {{{"If-Match", "\"x\""}}, 412},
                      {{{"If-Match", file.etag}, {"If-Unmodified-Since", before}}, 200},
                      {{{"If-Unmodified-Since", date}}, 200},
                      {{{"If-Unmodified-Since", before}}, 412},
                      {{{"If-Match", file.etag}, {"If-None-Match", file.etag}}, 304}};
  for (const Row& row : rows) {
    CAPTURE(row.headers[0].first);
    CAPTURE(row.headers[0].second);
    const Answer answer = file.ask_for(row.headers);
    CHECK(answer.status == row.status);
    CHECK(answer.header("ETag") == file.etag);
    CHECK(answer.body.empty() == (row.status != 200));
  }
  CHECK(file.ask_for({{"If-None-Match", file.etag}}, "POST").status == 412);
  CHECK(file.ask_for({{"If-None-Match", file.etag}}, "HEAD").status == 304);
}

TEST_CASE("files: a range is 206, if the client has the same version") {
  const OldFile file;
  const Answer part = file.ask_for({{"Range", "bytes=5-9"}});
  CHECK(part.status == 206);
  CHECK(part.body == "56789");
  CHECK(part.header("Content-Range") == "bytes 5-9/20");
  CHECK(part.complete);
  CHECK(file.ask_for({{"Range", "bytes=5-9"}, {"If-Range", file.etag}}).status == 206);
  CHECK(file.ask_for({{"Range", "bytes=5-9"}, {"If-Range", "Sun, 06 Nov 1994 08:49:37 GMT"}}).status == 206);
  for (const std::string& other :
       {std::string("\"x\""), "W/" + file.etag, std::string("Sun, 06 Nov 1994 08:49:38 GMT")}) {
    CHECK(file.ask_for({{"Range", "bytes=5-9"}, {"If-Range", other}}).body == file.content);
  }
  CHECK(file.ask_for({{"Range", "bytes=5-9"}}, "POST").status == 200);
  CHECK(file.ask_for({{"Range", "bytes=5-9"}, {"If-None-Match", file.etag}}).status == 304);
  const Answer beyond = file.ask_for({{"Range", "bytes=20-"}});
  CHECK(beyond.status == 416);
  CHECK(beyond.header("Content-Range") == "bytes */20");
}

TEST_CASE("files: several ranges come as multipart/byteranges of the declared length") {
  const OldFile file;
  const Answer answer = file.ask_for({{"Range", "bytes=0-1,-2"}});
  CHECK(answer.status == 206);
  CHECK(answer.complete);  // exactly as many bytes as were declared
  const std::string type = answer.header("Content-Type"), start = "multipart/byteranges; boundary=";
  REQUIRE(type.starts_with(start));
  const std::string line = "\r\n--" + type.substr(start.size());
  const std::string head = "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Range: bytes ";
  CHECK(answer.body == line + head + "0-1/20\r\n\r\n01" + line + head + "18-19/20\r\n\r\nij" + line + "--\r\n");
}

TEST_CASE("files: one that is missing, or below another folder, is 404") {
  const OldFile file;
  const auto below = [&](std::string name) {
    return ask([&](const Request& request) { return send_file_below(request, file.folder.path(), name); }, {}).status;
  };
  CHECK(below("page.html") == 200);
  CHECK(below("./page.html") == 200);
  for (const char* name : {"none", "../page.html", "a/../page.html", "..", ""}) {
    CAPTURE(name);
    CHECK(below(name) == 404);
  }
  CHECK(below(std::string("page.html\0", 10)) == 404);
  CHECK(below(std::string(300, 'x')) == 404);  // ENAMETOOLONG
}

TEST_CASE("files: a tag is weak while the file may change within the same tick") {
  const Folder folder;
  const std::string path = folder.write("new.json", "{}");
  const Answer answer =
      ask([&](const Request& request) { return send_file(request, path, {.cache_control = "no-cache"}); },
          {.headers = {{"Range", "bytes=0-0"}}});
  CHECK(answer.header("ETag").starts_with("W/\""));
  CHECK(answer.header("Cache-Control") == "no-cache");
  CHECK(answer.body == "{");
}

TEST_CASE("types: by the end of the name, in any case") {
  CHECK(mime_type("a/b.tar.GZ") == "application/gzip");
  CHECK(mime_type("x.JPEG") == "image/jpeg");
  CHECK(mime_type("dir.html/file") == "application/octet-stream");
  CHECK(mime_type("none") == "application/octet-stream");
  CHECK(mime_type("") == "application/octet-stream");
}
