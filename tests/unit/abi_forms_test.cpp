// What clients send in a query, a form, a cookie or JSON, and text for HTML.
#include <doctest/doctest.h>
#include <narwhal/cookies.hpp>
#include <narwhal/form.hpp>
#include <narwhal/html.hpp>
#include <narwhal/json.hpp>

#include <string>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

constexpr const char* urlencoded = "application/x-www-form-urlencoded";

Answer post(App app, std::string body, std::string type, bool streamed = false) {
  return ask(std::move(app), {.method = "POST",
                              .body = std::move(body),
                              .headers = {{"Content-Type", std::move(type)}},
                              .streamed = streamed,
                              .read_max = 7});
}
std::string cookies_in(Pairs headers) {
  return ask(
             [](const Request& request) {
               std::string text;
               for (const auto& [name, value] : cookies(request))
                 text.append(name).append("=").append(value).append("|");
               return Response::text(text);
             },
             {.headers = std::move(headers)})
      .body;
}

}  // namespace

TEST_CASE("query: a value comes as the type it is asked for; another text is 400") {
  const auto paged = [](const Request& request) {
    const int page = request.query("page", 1);
    const bool all = request.query("all", false);
    const std::string q = request.query("q", "none");
    const auto must = request.query<double>("must");
    return Response::text(std::to_string(page) + (all ? " all " : " ") + q + " " + std::to_string(must));
  };
  CHECK(ask(paged, {.target = "/?must=1.5"}).body == "1 none 1.500000");
  CHECK(ask(paged, {.target = "/?page=7&all=yes&q=a+b&must=2"}).body == "7 all a b 2.000000");
  const Answer odd = ask(paged, {.target = "/?page=x&must=1"});
  CHECK(odd.status == 400);
  CHECK(odd.body == "the query parameter 'page' must be an integer that is not too large\n");
  CHECK(ask(paged, {.target = "/?page=5000000000&must=1"}).status == 400);
  CHECK(ask(paged, {.target = "/?page=&must=1"}).status == 400);
  CHECK(ask(paged, {.target = "/?all=maybe&must=1"}).body == "the query parameter 'all' must be true or false\n");
  CHECK(ask(paged, {.target = "/?must=x"}).body == "the query parameter 'must' must be a number\n");
  CHECK(ask(paged, {.target = "/"}).body == "the query parameter 'must' is missing\n");
}

TEST_CASE("form: fields of the wanted types, from a body that comes at once or in pieces") {
  const auto app = [](const Request& request) {
    const Form form = read_form(request);
    return Response::text(form.get<std::string>("name") + " " + std::to_string(form.get("count", 1)) + " " +
                          form.get("note", "-") + " " + std::to_string(form.pairs().size()));
  };
  for (const bool streamed : {false, true}) {
    CHECK(post(app, "name=Ann+B&count=3&name=x", urlencoded, streamed).body == "Ann B 3 - 3");
    CHECK(post(app, "name=%C3%A9", "Application/X-WWW-form-urlencoded ; charset=utf-8", streamed).body ==
          "\xc3\xa9 1 - 1");
  }
  CHECK(post(app, "count=1", urlencoded).body == "the form field 'name' is missing\n");
  CHECK(post(app, "name=a&count=x", urlencoded).status == 400);
  CHECK(post(app, "name=a", "text/plain").status == 415);
  CHECK(ask(app, {.method = "POST", .body = "name=a"}).status == 415);
}

TEST_CASE("form: a large body is 413 and many fields are 400, however they come") {
  const auto app = [](const Request& request) {
    return Response::text(std::to_string(read_form(request, {.body_bytes = 20, .fields = 3}).pairs().size()));
  };
  for (const bool streamed : {false, true}) {
    CHECK(post(app, "a=1&b=2&c=3", urlencoded, streamed).body == "3");
    CHECK(post(app, "a=1&b=2&c=3&d=4", urlencoded, streamed).status == 400);
    CHECK(post(app, "a=" + std::string(18, 'x'), urlencoded, streamed).body == "1");
    CHECK(post(app, "a=" + std::string(19, 'x'), urlencoded, streamed).status == 413);
  }
}

TEST_CASE("cookies: pairs in order, from every field, without quotes and spaces around them") {
  CHECK(cookies_in({{"Cookie", "a=1; b=2"}, {"Host", "h"}, {"cookie", "c=3"}}) == "a=1|b=2|c=3|");
  CHECK(cookies_in({{"Cookie", "a=\"x y\";b=;  c = d ;e"}}) == "a=x y|b=|c=d|");
  CHECK(cookies_in({{"Cookie", "a=b=c; =x; a=2;;"}}) == "a=b=c|a=2|");
  CHECK(cookies_in({{"Cookie", "a=\""}}) == "a=\"|");
  CHECK(cookies_in({}) == "");
  const auto one = [](const Request& request) { return Response::text(cookie(request, "A").value_or("none")); };
  CHECK(ask(one, {.headers = {{"Cookie", "a=1; A=2; A=3"}}}).body == "2");
  CHECK(ask(one, {.headers = {{"Cookie", "a=1"}}}).body == "none");
}

TEST_CASE("cookies: Set-Cookie has safe defaults and every attribute") {
  using std::chrono::seconds;
  CHECK(write_set_cookie({.name = "id", .value = "7"}) == "id=7; Path=/; HttpOnly; SameSite=Lax");
  CHECK(write_set_cookie({.name = "__Host-id",
                          .value = "7",
                          .max_age = seconds(60),
                          .secure = true,
                          .http_only = false,
                          .same_site = SameSite::strict}) ==
        "__Host-id=7; Path=/; Max-Age=60; Secure; SameSite=Strict");
  CHECK(write_set_cookie(
            {.name = "a", .path = "/x", .domain = "example.org", .secure = true, .same_site = SameSite::none}) ==
        "a=; Path=/x; Domain=example.org; Secure; HttpOnly; SameSite=None");
  Response response;
  set_cookie(response, {.name = "a", .value = "1"});
  delete_cookie(response, {.name = "b", .value = "gone"});
  CHECK(response.headers().size() == 2);
  CHECK(std::next(response.headers().begin())->value.view() == "b=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

TEST_CASE("cookies: what may not go into the field, or a browser would refuse, is an error") {
  for (const SetCookie& bad :
       {SetCookie{.name = "", .value = "x"}, SetCookie{.name = "a b", .value = "x"},
        SetCookie{.name = "a", .value = "b;c"}, SetCookie{.name = "a", .value = "b c"},
        SetCookie{.name = "a", .value = "b\r\nX: y"}, SetCookie{.name = "a", .value = "\xc3\xa9"},
        SetCookie{.name = "a", .value = "x", .path = "/;x"}, SetCookie{.name = "a", .value = "x", .domain = "e\nx"},
        SetCookie{.name = "a", .value = "x", .same_site = SameSite::none},
        SetCookie{.name = "__Secure-a", .value = "x"},
        SetCookie{.name = "__Host-a", .value = "x", .path = "/x", .secure = true}}) {
    CAPTURE(bad.name);
    CAPTURE(bad.value);
    CHECK_THROWS_AS(write_set_cookie(bad), std::invalid_argument);
  }
  CHECK_THROWS_WITH_AS(write_set_cookie({.name = "a", .value = ";"}),
                       "cookie 'a': the value has a character that needs encoding", std::invalid_argument);
}

TEST_CASE("html: what would end a text or an attribute is escaped") {
  CHECK(html_escape("<a href=\"x\" title='y'>Tom & Ann</a>") ==
        "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;Tom &amp; Ann&lt;/a&gt;");
  CHECK(html_escape("\xc3\xa9") == "\xc3\xa9");
}

TEST_CASE("json: a body comes as a value; a fault is 400 with its place") {
  const auto app = [](const Request& request) {
    const nlohmann::json value = json_body(request);
    return json_response({{"got", json_member<std::string>(value, "name")}}, 201);
  };
  for (const bool streamed : {false, true}) {
    const Answer answer = post(app, R"({"name": "Ann"})", "application/json", streamed);
    CHECK(answer.status == 201);
    CHECK(answer.body == R"({"got":"Ann"})");
    CHECK(answer.header("Content-Type") == "application/json");
  }
  CHECK(post(app, R"({"name": "A"})", "application/vnd.shop+json; v=1").status == 201);
  const Answer odd = post(app, "{\n  \"name\": Ann}", "application/json");
  CHECK(odd.status == 400);
  CHECK(odd.body == "the JSON is not well formed: line 2, column 11\n");
  CHECK(post(app, "", "application/json").body == "the JSON is not well formed: line 1, column 1\n");
  CHECK(post(app, R"({"name": 7})", "application/json").body ==
        "the JSON member 'name' is not of the type that is needed\n");
  CHECK(post(app, "[]", "application/json").body == "the JSON member 'name' is missing\n");
  CHECK(post(app, "{}", "text/plain").status == 415);
  CHECK(post(app, "\"\xff\"", "application/json").status == 400);
}

TEST_CASE("json: what is too large or nested too deeply is refused before it is parsed") {
  const auto app = [](const Request& request) {
    return json_response(json_body(request, {.body_bytes = 1000, .depth = 3}));
  };
  CHECK(post(app, "[[[\"[[[[\\\"[\"]]]", "application/json").status == 200);
  CHECK(post(app, "[[[[]]]]", "application/json").body == "the JSON is nested too deeply\n");
  CHECK(post(app, "[{\"a\":{\"b\":{}}}]", "application/json").status == 400);
  CHECK(post(app, "\"" + std::string(1000, 'x') + "\"", "application/json").status == 413);
  CHECK(post(app, "1e999", "application/json").status == 400);
  CHECK(json_response("\xff").body() == "\"\xef\xbf\xbd\"");
}
