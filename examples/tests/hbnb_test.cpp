// A test of hbnb: its API, its pages and its templates, with a database of its own for each case and without a server.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "../hbnb/assets.hpp"
#include "../hbnb/database.hpp"
#include "../hbnb/template.hpp"

using narwhal::testing::Answer;
using narwhal::testing::Fields;
using narwhal::testing::Settings;
using narwhal::testing::Worker;

namespace {

const Fields json{{"Content-Type", "application/json"}};

// A folder that is gone after the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "hbnb-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string database() const { return path / "test.db"; }
  std::filesystem::path path;
};

struct Site {
  explicit Site(std::string prefix = "")
      : worker(narwhal_plugin_v1, {.options = {{"database", folder.database()}}, .prefix = std::move(prefix)}) {
    REQUIRE(worker.boot_error() == "");
  }
  Answer get(const std::string& target) { return worker.get(target); }
  Answer post(const std::string& path, const std::string& body) { return worker.post("/api/v1" + path, body, json); }
  Answer send(const std::string& method, const std::string& path, const std::string& body = "") {
    return worker.send({.method = method, .target = "/api/v1" + path, .body = body, .headers = json});
  }
  // Makes a record and returns its id.
  std::string made(const std::string& path, const std::string& body);
  Folder folder;
  Worker worker;
};

// The text of a member: what stands after "name":".
std::string member(const std::string& body, const std::string& name) {
  const std::size_t at = body.find("\"" + name + "\":\"");
  if (at == body.npos) return "";
  const std::size_t start = at + name.size() + 4;
  return body.substr(start, body.find('"', start) - start);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

std::string Site::made(const std::string& path, const std::string& body) {
  const Answer answer = post(path, body);
  CAPTURE(answer.body);
  REQUIRE(answer.status == 201);
  const std::string id = member(answer.body, "id");
  CHECK(answer.header("Location").ends_with("/" + id));
  return id;
}

}  // namespace

TEST_CASE("hbnb: a new database has the first data, and an old one keeps its own") {
  Folder folder;
  const Settings settings{.options = {{"database", folder.database()}}};
  {
    Worker worker(narwhal_plugin_v1, settings);
    CHECK(worker.get("/api/v1/status").body == R"({"status":"OK"})");
    CHECK(worker.get("/api/v1/stats").body ==
          R"({"amenities":8,"cities":11,"places":12,"reviews":14,"states":5,"users":5})");
    CHECK(worker.post("/api/v1/states", R"({"name":"Utah"})", json).status == 201);
  }
  Worker again(narwhal_plugin_v1, settings);
  CHECK(has(again.get("/api/v1/stats").body, R"("states":6)"));
}

TEST_CASE("hbnb: tables of a newer program are not touched") {
  Folder folder;
  hbnb::migrate(*hbnb::connect(folder.database()));
  hbnb::connect(folder.database())->script("UPDATE schema_version SET version = 99");
  Worker worker(narwhal_plugin_v1, {.options = {{"database", folder.database()}}});
  CHECK(has(worker.boot_error(), "the database has version 99 of the tables, and this hbnb knows 2"));
}

TEST_CASE("hbnb: a database that cannot be opened stops the worker with the way out") {
  Worker worker(narwhal_plugin_v1, {.options = {{"database", "/nonexistent/x.db"}}});
  CHECK(has(worker.boot_error(),
            "cannot open the database file '/nonexistent/x.db': unable to open database file; "
            "the option 'database' names it"));
}

TEST_CASE("hbnb: every kind of record is made, read, changed, listed and deleted") {
  Site site;
  const std::string state = site.made("/states", R"({"name":"Utah"})");
  const std::string city = site.made("/states/" + state + "/cities", R"({"name":"Moab"})");
  const std::string user = site.made("/users", R"({"email":"a@example.org","password":"secret","first_name":"Ann"})");
  const std::string place = site.made("/cities/" + city + "/places",
                                      R"({"name":"Tent","user_id":")" + user + R"(","max_guest":2,"latitude":38.5})");
  const std::string review =
      site.made("/places/" + place + "/reviews", R"({"text":"Windy.","user_id":")" + user + R"("})");
  const std::string amenity = site.made("/amenities", R"({"name":"Stove"})");

  CHECK(has(site.get("/api/v1/users/" + user).body, R"("__class__":"User")"));
  CHECK_FALSE(has(site.get("/api/v1/users").body, "password"));
  const std::string shown = site.get("/api/v1/places/" + place + "/").body;
  for (const char* part : {R"("latitude":38.5)", R"("longitude":null)", R"("max_guest":2)", R"("number_rooms":0)"}) {
    CAPTURE(part);
    CHECK(has(shown, part));
  }
  const Answer changed = site.send("PUT", "/places/" + place, R"({"name":"Yurt","user_id":"other","id":"x"})");
  CHECK(changed.status == 200);
  CHECK(member(changed.body, "name") == "Yurt");
  CHECK(member(changed.body, "id") == place);
  CHECK(member(changed.body, "user_id") == user);
  CHECK(has(changed.body, R"("max_guest":2)"));
  CHECK(member(changed.body, "updated_at") > member(shown, "updated_at"));

  const std::string link = "/places/" + place + "/amenities/" + amenity;
  CHECK(site.send("POST", link).status == 201);
  CHECK(site.send("POST", link).status == 200);
  CHECK(member(site.get("/api/v1/places/" + place + "/amenities").body, "name") == "Stove");
  CHECK(site.send("DELETE", link).body == "{}");
  CHECK(site.send("DELETE", link).status == 404);

  CHECK(member(site.get("/api/v1/cities/" + city + "/places").body, "id") == place);
  CHECK(member(site.get("/api/v1/places/" + place + "/reviews").body, "id") == review);
  CHECK(site.send("DELETE", "/states/" + state).status == 200);  // and all that belongs to it
  for (const std::string& path : {"cities/" + city, "places/" + place, "reviews/" + review}) {
    CHECK(site.get("/api/v1/" + path).status == 404);
  }
  CHECK(site.get("/api/v1/users/" + user).status == 200);
}

TEST_CASE("hbnb: what a client does wrong is answered with the exercise's texts") {
  Site site;
  const std::string city =
      member(site.get("/api/v1/states/" + member(site.get("/api/v1/states").body, "id") + "/cities").body, "id");
  const std::string places = "/cities/" + city + "/places";
  const std::string user = R"("user_id":")" + member(site.get("/api/v1/users").body, "id") + "\"";
  const struct {
    std::string path, body;
    int status;
    std::string error;
  } rows[] = {
      {"/states", "{", 400, "Not a JSON"},
      {"/states", R"(["name"])", 400, "Not a JSON"},
      {"/states", "{}", 400, "Missing name"},
      {"/states", R"({"name":""})", 400, "Missing name"},
      {"/states", R"({"name":7})", 400, "name must be a string"},
      {"/states", R"({"name":"a\u0000b"})", 400, "name must be a string without NUL"},
      {"/states", "{\"name\":\"" + std::string(129, 'x') + "\"}", 400,
       "name must be a string of at most 128 characters"},
      {"/states/none/cities", R"({"name":"x"})", 404, "Not found"},
      {"/states/a%00b/cities", R"({"name":"x"})", 404, "Not found"},
      {"/users", R"({"password":"x"})", 400, "Missing email"},
      {"/users", R"({"email":"x"})", 400, "Missing password"},
      {places, R"({"name":"x"})", 400, "Missing user_id"},
      {places, R"({"name":"x","user_id":"none"})", 404, "Not found"},
      {places, "{" + user + "}", 400, "Missing name"},
      {places, "{" + user + R"(,"name":"x","max_guest":-1})", 400, "max_guest must be an integer from 0 to 2147483647"},
      {places, "{" + user + R"(,"name":"x","max_guest":true})", 400,
       "max_guest must be an integer from 0 to 2147483647"},
      {places, "{" + user + R"(,"name":"x","latitude":"1"})", 400, "latitude must be a number or null"},
      {"/places_search", R"({"states":"x"})", 400, "states must be a list of ids"},
      {"/nothing", "{}", 404, "Not found"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.path);
    CAPTURE(row.body);
    const Answer answer = site.post(row.path, row.body);
    CHECK(answer.status == row.status);
    CHECK(answer.body == "{\"error\":\"" + row.error + "\"}");
  }
  CHECK(site.worker.post("/api/v1/states", R"({"name":"x"})", {{"Content-Type", "text/plain"}}).body ==
        R"({"error":"Not a JSON"})");
  CHECK(site.send("PATCH", "/states").status == 405);
  CHECK(site.send("PUT", "/states/none", "{").status == 404);
}

TEST_CASE("hbnb: a search is by states or cities, and by all of the amenities") {
  Site site;
  const auto count = [&](const std::string& body) {
    const std::string found = site.post("/places_search", body).body;
    std::size_t places = 0;
    for (std::size_t at = found.find("__class__"); at != found.npos; at = found.find("__class__", at + 1)) ++places;
    return places;
  };
  const std::string states = site.get("/api/v1/states").body;
  const std::string oregon = states.substr(states.rfind("\"id\":\"") + 6, 36);
  const std::string city = member(site.get("/api/v1/states/" + member(states, "id") + "/cities").body, "id");
  const std::string amenity = member(site.get("/api/v1/amenities").body, "id");
  CHECK(count("{}") == 12);
  CHECK(count(R"({"states":[],"cities":[],"amenities":[]})") == 12);
  CHECK(count("{\"states\":[\"" + oregon + "\"]}") == 2);
  CHECK(count("{\"states\":[\"" + oregon + "\"],\"cities\":[\"" + city + "\"]}") == 3);
  CHECK(count("{\"amenities\":[\"" + amenity + "\",\"" + amenity + "\"]}") == 6);
  CHECK(count(R"({"cities":["x' OR '1'='1"]})") == 0);
  CHECK(count(R"({"amenities":["none"]})") == 0);
  const std::string all = site.post("/places_search", "{}").body;
  CHECK(has(all, R"("city":"Tucson")"));
  CHECK(has(all, R"("owner":"Luz Herrera")"));
}

TEST_CASE("hbnb: pages are whole, tolerate a slash, and know the prefix that they are mounted at") {
  Site site("/stay");
  for (const char* path : {"/stay", "/stay/", "/stay/hbnb", "/stay/hbnb/"}) {
    CAPTURE(path);
    const Answer page = site.get(path);
    CHECK(page.status == 200);
    CHECK(has(page.body, R"(<html lang="en" data-root="/stay/">)"));
    CHECK(has(page.body, R"(data-name="New Orleans">New Orleans</label>)"));
    CHECK(page.header("Content-Security-Policy").starts_with("default-src 'self'"));
  }
  CHECK(has(site.get("/stay/airbnb-onepage/").body, "<h1>Hello HBNB!</h1>"));
  CHECK(has(site.get("/stay/airbnb-onepage").body, "Miner&#39;s house on Elk Avenue"));
  CHECK(has(site.get("/stay/airbnb-dynamic/number_odd_or_even/89").body, "<h1>Number: 89 is odd</h1>"));
  CHECK(has(site.get("/stay/airbnb-dynamic/number_odd_or_even/98/").body, "<h1>Number: 98 is even</h1>"));
  const Answer missing = site.get("/stay/airbnb-dynamic/number_odd_or_even/nine");
  CHECK(missing.status == 404);
  CHECK(has(missing.body, R"(<a href="/stay/">)"));
}

TEST_CASE("hbnb: what a client has written is text on a page") {
  Site site;
  site.made("/states", R"({"name":"<script>alert('x')</script>"})");
  const std::string page = site.get("/").body;
  CHECK(has(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
  CHECK_FALSE(has(page, "<script>alert"));
}

TEST_CASE("hbnb: static files are cached by their version, else asked for again") {
  Site site;
  const std::string path = "/static/hbnb.css";
  const Answer plain = site.get(path);
  CHECK(plain.header("Content-Type") == "text/css; charset=utf-8");
  CHECK(plain.header("Cache-Control") == "no-cache");
  CHECK(site.get(path + "?v=" + std::string(hbnb::assets_digest())).header("Cache-Control") ==
        "public, max-age=31536000, immutable");
  const std::string tag = plain.header("ETag");
  const Answer same = site.worker.get(path, {{"If-None-Match", tag}});
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  for (const char* name : {"/static/none.css", "/static/../sql/1-tables.sql", "/static/", "/templates/hbnb.html"}) {
    CHECK(site.get(name).status == 404);
  }
}

TEST_CASE("hbnb: a folder takes the place of the files in the plugin") {
  Folder folder;
  std::filesystem::create_directories(folder.path / "templates");
  std::filesystem::create_directories(folder.path / "static");
  for (const char* name : {"hbnb.html", "onepage.html", "missing.html", "number.html"}) {
    std::ofstream(folder.path / "templates" / name) << "mine: {{ n }}\n";
  }
  std::ofstream(folder.path / "static" / "x.css") << "a{}";
  const Settings settings{.options = {{"database", folder.database()}, {"folder", folder.path.string()}}};
  {
    Worker worker(narwhal_plugin_v1, settings);
    CHECK(worker.get("/airbnb-dynamic/number_odd_or_even/4").body == "mine: 4");
    CHECK(worker.get("/static/x.css").body == "a{}");
    CHECK(worker.get("/static/../test.db").status == 404);
  }
  std::ofstream(folder.path / "templates" / "number.html") << "\n{% for %}";
  Worker broken(narwhal_plugin_v1, settings);
  CHECK(has(broken.boot_error(), "template number.html, line 2: this tag is not known: for"));
  std::filesystem::remove_all(folder.path / "templates");
  Worker empty(narwhal_plugin_v1, settings);
  CHECK(has(empty.boot_error(), "option 'folder': " + folder.path.string() + "/templates/"));
}

TEST_CASE("hbnb: templates have values, lists within lists, conditions and includes") {
  using hbnb::Data, hbnb::Members, hbnb::Template;
  const auto source = [](std::string_view name) -> std::string {
    if (name == "inner") return "[{{ x.name }}]\n";
    return "{% for x in all %}{% include \"inner\" %}{% for y in x.list %}{{ y.name }}-{{ top }} {% endfor %}"
           "{% if x.list %}+{% endif %}{% endfor %}{% if none %}never{% endif %}{{ none.name }}\n";
  };
  const Data one(Members{{"name", std::string("a&b")}, {"list", std::vector<Data>{}}});
  const Data two(
      Members{{"name", std::string("\"c\"")}, {"list", std::vector<Data>{Data(Members{{"name", std::string("d")}})}}});
  const Data data(Members{{"top", std::string("t")}, {"all", std::vector<Data>{one, two}}});
  CHECK(Template("outer", source).render(data) == "[a&amp;b][&quot;c&quot;]d-t +");
  const auto fault = [](const std::string& text) -> std::string {
    try {
      Template broken("it", [&](std::string_view) { return text; });
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "none";
  };
  CHECK(fault("a\n{{ b") == "template it, line 2: }} is missing");
  CHECK(fault("{{ a b }}") == "template it, line 1: {{ }} takes one name");
  CHECK(fault("{% if a %}") == "template it, line 1: endif is missing");
  CHECK(fault("{% endif %}") == "template it, line 1: this tag is not known: endif");
}
