// A test of login.cpp: what a cookie and a token are worth, where, and how long.
//   g++ -std=c++20 -o login_test login_test.cpp ../login.cpp -pthread -ldl -lnettle && ./login_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>
#include <narwhal/text.hpp>

#include <map>
#include <string>

using narwhal::testing::Answer;
using narwhal::testing::Fields;
using narwhal::testing::Worker;

namespace {

const std::string first_secret(32, 'a'), second_secret(32, 'b');

std::map<std::string, std::string> options(std::map<std::string, std::string> others = {}) {
  others.insert({{"secret", first_secret}, {"password", "shells"}});
  return others;
}

// A browser: it keeps cookies, and the token of the last form.
class Browser {
 public:
  explicit Browser(std::string scheme = "http") : scheme_(std::move(scheme)) {}
  Answer get(Worker& worker, const std::string& target) {
    return keep(worker.send({.target = target, .headers = {{"Cookie", cookie_field()}}, .scheme = scheme_}));
  }
  Answer post(Worker& worker, const std::string& target, const std::string& fields) {
    const Fields headers{{"Cookie", cookie_field()}, {"Content-Type", "application/x-www-form-urlencoded"}};
    return keep(worker.send({.method = "POST",
                             .target = target,
                             .body = fields + "&token=" + token,
                             .headers = headers,
                             .scheme = scheme_}));
  }
  Answer log_in(Worker& worker) {
    get(worker, "/login");
    return post(worker, "/login", "user=ada&password=shells");
  }

  std::map<std::string, std::string> cookies;
  std::string token;

 private:
  std::string cookie_field() const {
    std::string field;
    for (const auto& [name, value] : cookies) field.append(name).append("=").append(value).append("; ");
    return field;
  }
  Answer keep(Answer answer) {
    for (const auto& [name, value] : answer.headers) {
      if (!narwhal::equal_ignoring_case(name, "Set-Cookie")) continue;
      const std::size_t equals = value.find('='), end = value.find(';');
      cookies[value.substr(0, equals)] = value.substr(equals + 1, end - equals - 1);
    }
    const std::string before = "name=\"token\" value=\"";
    if (const std::size_t at = answer.body.find(before); at != std::string::npos) {
      token = answer.body.substr(at + before.size(), 64);
    }
    return answer;
  }
  const std::string scheme_;
};

bool knows(Worker& worker, Browser& browser) {
  return browser.get(worker, "/").body.find("Hello, ada") != std::string::npos;
}

}  // namespace

TEST_CASE("login: who logs in is known, in other workers too, until the log-out") {
  Worker worker(narwhal_plugin_v1, {.options = options()}), other(narwhal_plugin_v1, {.options = options()});
  Browser browser;
  CHECK(browser.get(worker, "/").header("Location") == "/login");
  const Answer answer = browser.log_in(worker);
  CHECK(answer.status == 303);
  CHECK(answer.header("Location") == "/");
  CHECK(answer.header("Set-Cookie").ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"));
  CHECK(knows(worker, browser));
  CHECK(knows(other, browser));
  CHECK(browser.post(other, "/logout", "").header("Location") == "/login");
  CHECK_FALSE(knows(worker, browser));
}

TEST_CASE("login: with TLS the cookies are for TLS alone") {
  Worker worker(narwhal_plugin_v1, {.options = options()});
  Browser browser("https");
  CHECK(browser.log_in(worker).header("Set-Cookie").find("; Secure; HttpOnly") != std::string::npos);
  CHECK(browser.cookies.contains("__Host-session"));
  CHECK(knows(worker, browser));
}

TEST_CASE("login: a wrong name or password gets the form again, and is logged without it") {
  Worker worker(narwhal_plugin_v1, {.options = options()});
  Browser browser;
  for (const char* fields : {"user=ada&password=shell", "user=ad&password=shells", "user=ada", "password=shells", ""}) {
    CAPTURE(fields);
    browser.get(worker, "/login");
    const Answer answer = browser.post(worker, "/login", fields);
    CHECK(answer.status == 403);
    CHECK(answer.body.find("The name or the password is wrong.") != std::string::npos);
    CHECK(answer.body.find("name=\"token\"") != std::string::npos);
  }
  CHECK(worker.has_logged("POST /login: a login of 192.0.2.1 was refused"));
  CHECK_FALSE(worker.has_logged("shell"));
}

TEST_CASE("login: a form needs the token of this browser") {
  Worker worker(narwhal_plugin_v1, {.options = options()});
  Browser browser, attacker;
  attacker.get(worker, "/login");
  browser.get(worker, "/login");
  const std::string token = browser.token;
  for (const std::string& wrong : {std::string(), attacker.token, token.substr(1), token + "0", std::string(64, '0')}) {
    CAPTURE(wrong);
    browser.token = wrong;
    CHECK(browser.post(worker, "/login", "user=ada&password=shells").status == 403);
  }
  browser.token = token;
  CHECK(browser.post(worker, "/login", "user=ada&password=shells").status == 303);
  browser.token = token;  // of the login form, not of the session
  CHECK(browser.post(worker, "/logout", "").status == 403);
  CHECK(knows(worker, browser));
}

TEST_CASE("login: a cookie that was changed, in any byte, is worth nothing") {
  Worker worker(narwhal_plugin_v1, {.options = options()});
  Browser browser;
  browser.log_in(worker);
  const std::string good = browser.cookies["session"];
  for (std::size_t at = 0; at < good.size(); ++at) {
    CAPTURE(at);
    browser.cookies["session"] = good;
    browser.cookies["session"][at] = good[at] == '1' ? '2' : '1';
    REQUIRE_FALSE(knows(worker, browser));
  }
  for (const char* value : {"", ".", "..", "ada", "ada.9999999999", "ada.9999999999."}) {
    browser.cookies["session"] = value;
    CHECK_FALSE(knows(worker, browser));
  }
  Browser visitor;
  visitor.get(worker, "/login");
  visitor.cookies["session"] = visitor.cookies["visit"];  // signed, but for another purpose
  CHECK(visitor.get(worker, "/").status == 303);
}

TEST_CASE("login: the secret can change without a session being lost") {
  Worker before(narwhal_plugin_v1, {.options = options()});
  Worker after(narwhal_plugin_v1, {.options = options({{"secret", second_secret}, {"old_secret", first_secret}})});
  Worker later(narwhal_plugin_v1, {.options = options({{"secret", second_secret}})});
  Browser old_session, new_session;
  old_session.log_in(before);
  CHECK(knows(after, old_session));
  CHECK_FALSE(knows(later, old_session));
  new_session.get(before, "/login");  // the form is from before, too
  CHECK(new_session.post(after, "/login", "user=ada&password=shells").status == 303);
  CHECK(knows(later, new_session));
}

TEST_CASE("login: a name with any characters is shown as text") {
  Worker worker(narwhal_plugin_v1, {.options = options({{"user", "<b>.; é\""}})});
  Browser browser;
  browser.get(worker, "/login");
  CHECK(browser.post(worker, "/login", "user=%3Cb%3E.%3B+%C3%A9%22&password=shells").status == 303);
  CHECK(browser.get(worker, "/").body.find("Hello, &lt;b&gt;.; é&quot;") != std::string::npos);
}

TEST_CASE("login: options that would make it unsafe are refused") {
  const auto error = [](std::map<std::string, std::string> others) {
    return Worker(narwhal_plugin_v1, {.options = std::move(others)}).boot_error();
  };
  CHECK(error({{"password", "x"}}).find("secret") != std::string::npos);
  CHECK(error({{"secret", first_secret}}).find("password") != std::string::npos);
  CHECK(error(options({{"secret", "short"}})).find("at least 32 bytes") != std::string::npos);
  CHECK(error(options({{"old_secret", "short"}})).find("at least 32 bytes") != std::string::npos);
  CHECK(error(options({{"lifetime", "0"}})).find("at least 1 second") != std::string::npos);
}
