// plugins/static: paths, weights of codings, options, and a folder that nothing leaves.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "plugins/static/codings.hpp"
#include "plugins/static/folder.hpp"
#include "plugins/static/listing.hpp"
#include "plugins/static/lists.hpp"
#include "plugins/static/settings.hpp"
#include "plugins/static/target.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal::static_files;
using namespace std::string_literals;

namespace {

std::string below(std::string_view path, Hidden hidden = Hidden::refused) {
  const auto target = read_target(path, hidden);
  return target ? target->below + (target->folder ? "/" : "") : "(none)";
}

std::string codings(std::string_view accepted) {
  const narwhal_field field = {NARWHAL_LITERAL("Accept-Encoding"), narwhal::bytes_of(accepted)};
  std::string names;
  for (const Coding& coding : preferred_codings({&field, 1})) {
    if (!coding.name.empty()) names.append(names.empty() ? "" : " ").append(coding.name);
  }
  return names;
}

}  // namespace

TEST_CASE("a path names a file below the folder, decoded once") {
  CHECK(below("/") == "/");
  CHECK(below("/a") == "a");
  CHECK(below("/a/") == "a/");
  CHECK(below("/a/b%20c.txt") == "a/b c.txt");
  CHECK(below("/100%") == "100%");
  CHECK(below("/%2541") == "%41");
  CHECK(below("/.well-known/x") == ".well-known/x");
  CHECK(below("/%2Ewell-known") == ".well-known");
}

TEST_CASE("a path that could lead elsewhere, or names something hidden, names nothing") {
  for (const std::string path : {"",       "a",      "%2fa", "*",     "//",      "//a",  "/a//b",   "/a//",
                                 "/.",     "/..",    "/./a", "/a/..", "/a/../b", "/%2e", "/%2e%2e", "/.%2e/a",
                                 "/a%2fb", "/a%2Fb", "/%2f", "/a\\b", "/a%5cb",  "/%5c", "/a%00",   "/%00/b"}) {
    CAPTURE(path);
    CHECK(below(path) == "(none)");
    CHECK(below(path, Hidden::served) == "(none)");
  }
  for (const std::string path : {"/.a", "/%2ea", "/a/.b", "/...", "/..a", "/a/.well-known"}) {
    CAPTURE(path);
    CHECK(below(path) == "(none)");
    CHECK(below(path, Hidden::served) != "(none)");
  }
}

TEST_CASE("a path is cut at each of its bytes, and never names what the whole is refused for") {
  const std::string path = "/a/%2e%2e/%2e%2e/etc/passwd%00.html";
  for (std::size_t size = 0; size <= path.size(); ++size) {
    const std::string name = below(std::string_view(path).substr(0, size), Hidden::served);
    CHECK(name.find("..") == name.npos);
    CHECK(name.find('\0') == name.npos);
  }
}

TEST_CASE("codings in the order of the client's weights, br first of equals") {
  CHECK(codings("") == "");
  CHECK(codings("gzip") == "gzip");
  CHECK(codings("gzip, br") == "br gzip");
  CHECK(codings("br;q=0.5,gzip;q=0.6") == "gzip br");
  CHECK(codings("br;q=0, *") == "gzip");
  CHECK(codings("*;q=0") == "");
  CHECK(codings("identity, gzip;q=0.9") == "");
  CHECK(codings("identity;q=0.5, gzip;q=0.9, br;q=0.4") == "gzip");
  CHECK(codings(" , gzip\t;\tq=1.000 ,, ") == "gzip");
  for (const char* odd :
       {"gzip;q=2", "gzip;q=1.001", "gzip;q=", "gzip;q=0.1234", "gzip;q=.5", "gzip;q=-1", "gzip;q=1x"}) {
    CAPTURE(odd);
    CHECK(codings(odd) == "");
  }
}

TEST_CASE("lists: what stands between the commas, trimmed") {
  std::vector<std::string> elements;
  for_each_in_list(" a ,b,, \t,c d,", [&](std::string_view element) { elements.emplace_back(element); });
  CHECK(elements == std::vector<std::string>{"a", "b", "c d"});
}

TEST_CASE("the media type: the operator's own before ours") {
  Settings settings;
  settings.types = {{"glb", "model/gltf-binary"}, {"js", "text/plain"}};
  CHECK(settings.type_of("a/b.GLB") == "model/gltf-binary");
  CHECK(settings.type_of("b.js") == "text/plain");
  CHECK(settings.type_of("a.glb/b") == "application/octet-stream");
  CHECK(settings.type_of("b.css") == "text/css; charset=utf-8");
}

TEST_CASE("a listing: folders first, names as text and as links") {
  const std::string page =
      listing_page({.path = "/<b>/",
                    .entries = {{"a&b", false, 7, 0}, {"z", true, 0, 0}, {"x:\"y\xff", false, 0, 0}},
                    .has_parent = true,
                    .has_more = true});
  CHECK(page.find("<h1>/&lt;b&gt;/</h1>") != page.npos);
  CHECK(page.find("href=\"../\"") < page.find("href=\"./z/\""));
  CHECK(page.find("href=\"./z/\"") < page.find("href=\"./a%26b\">a&amp;b</a><td>7<td>1970-01-01 00:00"));
  CHECK(page.find("href=\"./x%3A%22y%FF\"") != page.npos);
  CHECK(page.find("There is more") != page.npos);
}

TEST_CASE("nothing leaves the folder, with and without openat2") {
  narwhal::Folder place;
  place.write("secret", "s");
  place.write("www/a/b/file", "f");
  namespace fs = std::filesystem;
  fs::create_symlink("../secret", place.path("www/out"));
  fs::create_symlink("..", place.path("www/up"));
  fs::create_symlink("/etc", place.path("www/etc"));
  fs::create_symlink("a/b", place.path("www/inside"));
  const Fd root(::open(place.path("www").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  const bool has_openat2 = bool(open_beneath(root.get(), ".", O_PATH)) || errno != ENOSYS;
  for (const std::string name : {"a/b/file", "a", ".", "a/b"}) {
    CAPTURE(name);
    CHECK(open_step_by_step(root.get(), name, O_RDONLY));
    if (has_openat2) CHECK(open_beneath(root.get(), name, O_RDONLY));
  }
  for (const std::string name : {"out", "up/secret", "etc/passwd", "etc", "none", "a/b/file/x", "a/none/x"}) {
    CAPTURE(name);
    CHECK_FALSE(open_step_by_step(root.get(), name, O_RDONLY));
    if (has_openat2) CHECK_FALSE(open_beneath(root.get(), name, O_RDONLY));
  }
  CHECK_FALSE(open_step_by_step(root.get(), "inside/file", O_RDONLY));
  if (has_openat2) CHECK(open_beneath(root.get(), "inside/file", O_RDONLY));
  if (has_openat2) {
    for (const std::string name : {"..", "../secret", "/etc/passwd", "a/../../secret"}) {
      CAPTURE(name);
      CHECK_FALSE(open_beneath(root.get(), name, O_RDONLY));
    }
  }
}

TEST_CASE("a folder that is not there is refused with a message that names it") {
  narwhal::Folder place;
  const std::string path = place.path("none");
  try {
    narwhal::static_files::Folder folder(path);
    FAIL("it was taken");
  } catch (const std::runtime_error& error) {
    CHECK(error.what() == "option 'folder': open '" + path +
                              "': No such file or directory: name a folder that the user of the workers may enter");
  }
}
