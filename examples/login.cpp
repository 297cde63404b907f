// login: a login form and a session in a signed cookie. The server keeps nothing, so that every worker knows every
// session, also after a reload or a restart.
//   narwhal --option secret=$(openssl rand -hex 32) --option password=shells ./login.so
//   curl -c jar -s http://127.0.0.1:8000/login                          the form, with its token
//   curl -b jar -c jar -i -d user=ada -d password=shells -d token=...   http://127.0.0.1:8000/login
//   curl -b jar http://127.0.0.1:8000/                                  Hello, ada
// ps shows a command line to everybody: keep real secrets in a narwhal.yaml that only the server's user can read.
// New secret   set `secret` to the new one and `old_secret` to the one before, and reload. After `lifetime` seconds no
//              cookie is signed with the old one any more, and `old_secret` can go.
// Logging out  deletes the cookie in this browser. A copy of it stays valid until it expires: that needs a list of ended
//              sessions on the server.
// Not shown    many users (keep slow, salted hashes of passwords) and a limit for guesses (see rate_limit.cpp).
// It is built against nettle (Debian: nettle-dev): g++ ... login.cpp -lnettle
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <unistd.h>
#include <narwhal/app.hpp>
#include <narwhal/cookies.hpp>
#include <narwhal/form.hpp>
#include <narwhal/html.hpp>
#include <narwhal/router.hpp>
#include <narwhal/url.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace std::chrono_literals;
using narwhal::HttpError;
using narwhal::Request;
using narwhal::Response;
using std::chrono::seconds;

template <std::size_t size>
std::string hex(const std::array<std::uint8_t, size>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}

std::int64_t now() {
  return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Signs texts with HMAC-SHA256. The purpose is part of what is signed: a signature for one is worth nothing for another.
class Signer {
 public:
  Signer(std::string secret, std::string old_secret) : secret_(std::move(secret)), old_secret_(std::move(old_secret)) {
    if (secret_.size() < 32 || (!old_secret_.empty() && old_secret_.size() < 32)) {
      throw std::invalid_argument("options 'secret' and 'old_secret': at least 32 bytes, as of openssl rand -hex 32");
    }
  }

  std::string sign(std::string_view purpose, std::string_view text) const { return mac(secret_, purpose, text); }
  // In a time that does not depend on where the first wrong character is.
  bool is_signed(std::string_view purpose, std::string_view text, std::string_view signature) const {
    for (const std::string* secret : {&secret_, &old_secret_}) {
      const std::string right = mac(*secret, purpose, text);
      if (secret->empty() || signature.size() != right.size()) continue;
      if (memeql_sec(right.data(), signature.data(), right.size()) != 0) return true;
    }
    return false;
  }

  // A cookie's value: the text, when it expires, and the signature of both.
  std::string seal(std::string_view purpose, std::string_view text, seconds lifetime) const {
    const std::string value = narwhal::percent_encode(text) + "." + std::to_string(now() + lifetime.count());
    return value + "." + sign(purpose, value);
  }
  // The text; nothing if it has expired or was not sealed here. A browser's clock does not matter.
  std::optional<std::string> open(std::string_view purpose, std::string_view sealed) const {
    const std::size_t end = sealed.rfind('.');
    if (end == sealed.npos || !is_signed(purpose, sealed.substr(0, end), sealed.substr(end + 1))) return std::nullopt;
    const std::string_view value = sealed.substr(0, end);
    const std::size_t dot = value.rfind('.');
    const auto expires = narwhal::parse_number<std::int64_t>(value.substr(dot + 1));
    if (dot == value.npos || !expires || *expires <= now()) return std::nullopt;
    return narwhal::percent_decode(value.substr(0, dot));
  }

 private:
  static std::string mac(std::string_view secret, std::string_view purpose, std::string_view text) {
    const auto bytes = [](std::string_view view) { return reinterpret_cast<const std::uint8_t*>(view.data()); };
    hmac_sha256_ctx hash;
    hmac_sha256_set_key(&hash, secret.size(), bytes(secret));
    hmac_sha256_update(&hash, purpose.size(), bytes(purpose));
    hmac_sha256_update(&hash, 1, bytes(std::string_view("\n")));
    hmac_sha256_update(&hash, text.size(), bytes(text));
    std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest;
    hmac_sha256_digest(&hash, digest.size(), digest.data());
    return hex(digest);
  }

  const std::string secret_, old_secret_;
};

class Login {
 public:
  explicit Login(const narwhal::Boot& boot)
      : signer_(boot.get<std::string>("secret"), boot.get("old_secret", "")),
        user_(boot.get("user", "ada")),
        password_(boot.get<std::string>("password")),
        lifetime_(boot.get("lifetime", 3600)) {
    if (lifetime_ < 1s) throw std::invalid_argument("option 'lifetime': at least 1 second");
    router_.get("/", [this](const Request& request) { return home(request); }).name("home");
    router_.get("/login", [this](const Request& request) { return login_page(request, 200, ""); }).name("login");
    router_.post("/login", [this](const Request& request) { return log_in(request); });
    router_.post("/logout", [this](const Request& request) { return log_out(request); }).name("logout");
  }
  Response operator()(const Request& request) { return router_(request); }

 private:
  // With TLS the name tells browsers to take this cookie from no other host of the domain, and not without TLS.
  static std::string name_on(const Request& request, std::string_view name) {
    return (request.scheme() == "https" ? "__Host-" : "") + std::string(name);
  }
  // For this site only and not for scripts: those are the defaults of SetCookie.
  static narwhal::SetCookie cookie_of(const Request& request, std::string_view name, std::string value) {
    return {.name = name_on(request, name), .value = std::move(value), .secure = request.scheme() == "https"};
  }
  static std::string_view sent_cookie(const Request& request, std::string_view name) {
    return narwhal::cookie(request, name_on(request, name)).value_or("");
  }

  // A page for this client alone, which no other site may show in a frame.
  static Response page(const std::string& html, int status = 200) {
    return Response::html("<!doctype html>\n<title>Login</title>\n" + html, status)
        .header("Cache-Control", "no-store")
        .header("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'");
  }
  // A form whose token is the signature of a cookie. Another site can make a browser send a form, with its cookies, but
  // cannot read the cookie or our page, so it does not know the token.
  std::string form(const Request& request, std::string_view route, std::string_view cookie, std::string_view fields) {
    return "<form method=\"post\" action=\"" + narwhal::html_escape(narwhal::url_for(request, route)) +
           "\">\n<input type=\"hidden\" name=\"token\" value=\"" + signer_.sign("token", cookie) + "\">\n" +
           std::string(fields) + "</form>\n";
  }
  narwhal::Form read_checked_form(const Request& request, std::string_view cookie_name) {
    narwhal::Form sent = narwhal::read_form(request, {.body_bytes = 16 * 1024});
    const std::string_view cookie = sent_cookie(request, cookie_name);
    if (!signer_.open(cookie_name, cookie) || !signer_.is_signed("token", cookie, sent.get("token", ""))) {
      throw HttpError(403, "the form is too old, or not from this site: load its page again");
    }
    return sent;
  }

  Response home(const Request& request) {
    const std::string_view cookie = sent_cookie(request, "session");
    const std::optional<std::string> user = signer_.open("session", cookie);
    if (!user) return Response::redirect(narwhal::url_for(request, "login"), 303);
    return page("<p>Hello, " + narwhal::html_escape(*user) + "\n" +
                form(request, "logout", cookie, "<button>Log out</button>\n"));
  }
  // Before there is a session, a random text in a cookie is what the token belongs to. One that is still good stays, so
  // that the form works in several tabs.
  Response login_page(const Request& request, int status, const std::string& message) {
    std::string cookie(sent_cookie(request, "visit"));
    if (!signer_.open("visit", cookie)) {
      std::array<std::uint8_t, 16> random;
      if (::getentropy(random.data(), random.size()) != 0) throw std::runtime_error("getentropy failed");
      cookie = signer_.seal("visit", hex(random), 1h);
    }
    Response response = page(message + form(request, "login", cookie,
                                            "<label>Name <input name=\"user\"></label>\n"
                                            "<label>Password <input name=\"password\" type=\"password\"></label>\n"
                                            "<button>Log in</button>\n"),
                             status);
    narwhal::set_cookie(response, cookie_of(request, "visit", cookie));
    return response;
  }
  Response log_in(const Request& request) {
    const narwhal::Form sent = read_checked_form(request, "visit");
    // Signatures have one length, so the comparison does not show how long the password is.
    const bool same_user = signer_.is_signed("user", sent.get("user", ""), signer_.sign("user", user_));
    const bool same_password =
        signer_.is_signed("password", sent.get("password", ""), signer_.sign("password", password_));
    if (!same_user || !same_password) {
      narwhal::log_warning(request, "a login of " + std::string(request.client()) + " was refused");
      return login_page(request, 403, "<p>The name or the password is wrong.\n");
    }
    Response response = Response::redirect(narwhal::url_for(request, "home"), 303);
    narwhal::SetCookie session = cookie_of(request, "session", signer_.seal("session", user_, lifetime_));
    session.max_age = lifetime_;
    narwhal::set_cookie(response, session);
    narwhal::delete_cookie(response, cookie_of(request, "visit", ""));
    return response;
  }
  Response log_out(const Request& request) {
    read_checked_form(request, "session");
    Response response = Response::redirect(narwhal::url_for(request, "login"), 303);
    narwhal::delete_cookie(response, cookie_of(request, "session", ""));
    return response;
  }

  const Signer signer_;
  const std::string user_, password_;
  const seconds lifetime_;
  narwhal::Router router_;
};

}  // namespace

NARWHAL_PLUGIN(Login(boot), .name = "login", .version = "1.0",
               .options = {{.key = "secret", .help = "signs the cookies: at least 32 random bytes", .required = true},
                           {.key = "old_secret", .help = "the secret before: cookies signed with it stay valid"},
                           {.key = "user", .fallback = "ada", .help = "who may log in"},
                           {.key = "password", .help = "the user's password", .required = true},
                           {.key = "lifetime", .type = "int", .fallback = "3600", .help = "of a session, in seconds"}})
