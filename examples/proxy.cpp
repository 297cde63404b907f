// proxy: passes every request on to one other server, with libcurl. It teaches how handler threads use a library that
// waits: one handle for each thread (per_thread.hpp), so that connections are used again; nothing before the fork, no
// signals, and C callbacks that let no exception pass.
//   narwhal --threads 16 --timeout 0 --option upstream=http://127.0.0.1:9000 ./proxy.so
//   curl -i http://127.0.0.1:8000/any/path
// --timeout 0, because a transfer may last, and the server counts what a handler waits for an upstream: the limits are
// those of the options. A request occupies one thread while it is passed on. Bodies are streamed in both directions: a side that reads slowly
// makes the other one wait, so that bodies of any size need little memory. The upstream gets the client's Host, and
// X-Forwarded-For, -Host, -Proto and -Prefix in place of what the client says in such fields. 502: the upstream cannot be
// used; 504: it is too slow. An answer that has begun is cut off then, so that the client sees it. Interim responses,
// trailers and upgrades are not passed on.
// It is built against libcurl (Debian: libcurl4-openssl-dev).
#include <curl/curl.h>
#include <narwhal/app.hpp>
#include <narwhal/per_thread.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using narwhal::Deferred;
using narwhal::equal_ignoring_case;
using narwhal::HttpError;
using narwhal::Request;
using Clock = std::chrono::steady_clock;

struct Free {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
  void operator()(curl_slist* lines) const noexcept { curl_slist_free_all(lines); }
};
using Handle = std::unique_ptr<CURL, Free>;

struct Library {
  Library() {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error("libcurl cannot be initialised");
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { curl_global_cleanup(); }
};

struct Upstream {
  std::string url, path;  // "http://127.0.0.1:9000/base" is its URL and "/base"
  std::chrono::seconds connect_max, silence_max;
};

// The option's value, read by curl itself; a path's slash at the end does not count.
Upstream upstream_of(const narwhal::Boot& boot) {
  Upstream upstream{boot.get<std::string>("upstream"), "", std::chrono::seconds(boot.get<unsigned>("connect_timeout")),
                    std::chrono::seconds(boot.get<unsigned>("timeout"))};
  if (upstream.silence_max.count() == 0) throw std::invalid_argument("option 'timeout': at least 1 second");
  const std::unique_ptr<CURLU, Free> url(curl_url());
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument("option 'upstream': '" + upstream.url + "': " + why +
                                "; wanted: http://host:port/path");
  };
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, upstream.url.c_str(), CURLU_DISALLOW_USER);
  if (code != CURLUE_OK) refuse(curl_url_strerror(code));
  if (upstream.url.find_first_of("?#") != upstream.url.npos) refuse("it has a query or a fragment");
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return std::string();
    const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
    return std::string(text);
  };
  const std::string scheme = part(CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") refuse("the scheme is not http or https");
  upstream.path = part(CURLUPART_PATH);
  while (upstream.path.ends_with('/')) upstream.path.pop_back();
  return upstream;
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// Whether a server that decodes the path and follows its ".." would leave where it begins.
bool goes_up(std::string_view path) {
  const std::string decoded = narwhal::percent_decode(path) + "/";
  for (std::size_t begin = 0, slash; (slash = decoded.find('/', begin)) != decoded.npos; begin = slash + 1) {
    if (decoded.compare(begin, slash - begin, "..") == 0) return true;
  }
  return false;
}

// Fields that concern one connection and not the message (RFC 9110 7.6.1): those known, and those that Connection names.
template <class Fields>
bool concerns_connection(const Fields& fields, std::string_view name) {
  for (const char* known : {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
                            "TE", "Trailer", "Transfer-Encoding", "Upgrade"}) {
    if (equal_ignoring_case(name, known)) return true;
  }
  for (const auto& [key, value] : fields) {
    if (!equal_ignoring_case(key, "Connection")) continue;
    for (std::string_view left = value; !left.empty();) {
      const std::string_view token = left.substr(0, left.find(','));
      if (equal_ignoring_case(trim(token), name)) return true;
      left.remove_prefix(std::min(left.size(), token.size() + 1));
    }
  }
  return false;
}

// One request on its way to the upstream, and the answer on its way back.
class Transfer {
 public:
  Transfer(const Upstream& upstream, CURL* curl, Deferred client)
      : upstream_(upstream), curl_(curl), client_(std::move(client)), request_(client_.request()) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() { curl_easy_reset(curl_); }  // forgets the options, which point here; keeps the connections

  void run() {
    set_options();
    set_request();
    add_fields();
    const CURLcode code = curl_easy_perform(curl_);
    if (thrown_) std::rethrow_exception(thrown_);
    if (code == CURLE_OK) {
      client_.finish();
      return;
    }
    std::string why = "upstream " + upstream_.url + ": ";
    if (silent_) {
      why += "nothing for " + std::to_string(upstream_.silence_max.count()) + " s";
    } else {
      why += *error_ != '\0' ? error_ : curl_easy_strerror(code);
    }
    throw HttpError(silent_ || code == CURLE_OPERATION_TIMEDOUT ? 504 : 502).because(why);
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(curl_, option, value); code != CURLE_OK) {
      throw std::runtime_error(std::string("curl_easy_setopt: ") + curl_easy_strerror(code));
    }
  }

  void set_options() {
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_URL, upstream_.url.c_str());
    set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    set(CURLOPT_PROXY, "");     // not the one that the variable http_proxy names
    set(CURLOPT_NOSIGNAL, 1L);  // signals belong to the server
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(upstream_.connect_max.count()));
    set(CURLOPT_HEADERFUNCTION, &Transfer::call<&Transfer::take_line>);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Transfer::call<&Transfer::take_body>);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_READFUNCTION, &Transfer::call<&Transfer::send_body>);
    set(CURLOPT_READDATA, this);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
  }

  void set_request() {
    const std::string method(request_.method());
    const std::optional<std::uint64_t> size = request_.body_size();
    const bool has_body = size != 0u || request_.header("Content-Length");
    if (method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (has_body) {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, size ? static_cast<curl_off_t>(*size) : curl_off_t{-1});  // -1: chunked
    }
    // curl sends a request again if a connection that it has used before turns out to be closed. Only these may arrive
    // twice (RFC 9110 9.2.2). A body that has begun is never sent again: there is no CURLOPT_SEEKFUNCTION.
    const bool may_repeat = method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
                            method == "DELETE" || method == "TRACE";
    set(CURLOPT_FRESH_CONNECT, may_repeat || has_body ? 0L : 1L);
    set(CURLOPT_CUSTOMREQUEST, method.c_str());
    // As the client has sent it. It is not part of the URL, so it cannot lead to another server; nor may it lead out of
    // the upstream's path.
    if (!upstream_.path.empty() && goes_up(request_.path())) throw narwhal::HttpError(400, "a path with '..'");
    std::string target = upstream_.path;
    target.append(request_.path());
    if (!request_.query().empty()) target.append("?").append(request_.query());
    set(CURLOPT_REQUEST_TARGET, target.c_str());
  }

  void add_fields() {
    for (const auto& [name, value] : request_.headers()) {
      bool ours = concerns_connection(request_.headers(), name);
      for (const char* mine : {"Host", "Content-Length", "Expect", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
                               "X-Forwarded-Proto", "X-Forwarded-Prefix"}) {
        ours = ours || equal_ignoring_case(name, mine);
      }
      if (!ours) add_field(name, value);
    }
    const std::pair<const char*, std::string_view> known[] = {{"Host", request_.authority()},
                                                              {"X-Forwarded-For", request_.client()},
                                                              {"X-Forwarded-Host", request_.authority()},
                                                              {"X-Forwarded-Proto", request_.scheme()},
                                                              {"X-Forwarded-Prefix", request_.prefix()}};
    for (const auto& [name, value] : known) {
      if (!value.empty()) add_field(name, value);
    }
    if (!request_.header("Accept")) add_line("Accept:");  // curl shall not add its own
    add_line("Expect:");
    set(CURLOPT_HTTPHEADER, lines_.get());
  }
  void add_field(std::string_view name, std::string_view value) {
    // curl's form of a field without a value; with a colon it would mean that the field is not to be sent.
    add_line(std::string(name) + (value.empty() ? ";" : ": ") + std::string(value));
  }
  void add_line(const std::string& line) {
    curl_slist* const longer = curl_slist_append(lines_.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(lines_.release());
    lines_.reset(longer);
  }

  // ---- what curl calls ----
  // curl is C: what a step throws waits until curl has returned. This result is an error to each kind of callback.
  template <auto Step>
  static std::size_t call(char* bytes, std::size_t, std::size_t size, void* self) noexcept {
    auto& transfer = *static_cast<Transfer*>(self);
    try {
      size = (transfer.*Step)(bytes, size);
      transfer.active_ = Clock::now();  // after the step, which may have waited for the client
      return size;
    } catch (...) {
      transfer.thrown_ = std::current_exception();
      return CURL_READFUNC_ABORT;
    }
  }
  // At least once a second, also while the upstream is silent. A client that closes its connection may still read the
  // answer, and is gone only when it refuses it; one that resets the connection is gone at once.
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.silent_ = Clock::now() - transfer.active_ > transfer.upstream_.silence_max;
    if (transfer.client_.gone()) transfer.thrown_ = std::make_exception_ptr(narwhal::Gone());
    return transfer.silent_ || transfer.thrown_ ? 1 : 0;
  }

  std::size_t send_body(char* buffer, std::size_t size) { return request_.read({buffer, size}); }
  std::size_t take_body(char* bytes, std::size_t size) {
    if (!has_head_) throw HttpError(502).because("upstream " + upstream_.url + ": a body without a head");
    check(client_.write({bytes, size}));
    return size;
  }
  std::size_t take_line(char* bytes, std::size_t size) {
    std::string_view line(bytes, size);
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (has_head_) return size;  // a trailer
    if (line.starts_with("HTTP/")) {
      fields_.clear();  // of an interim response
    } else if (line.empty()) {
      send_head();
    } else if (const std::size_t colon = line.find(':'); colon != line.npos) {
      fields_.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
    } else {
      throw HttpError(502).because("upstream " + upstream_.url + ": not a field: " + std::string(line));
    }
    return size;
  }
  void send_head() {
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return;
    narwhal::Response head(static_cast<int>(status));
    bool chunked = false;  // a length beside it does not count (RFC 9112 6.3)
    for (const auto& [name, value] : fields_) chunked = chunked || equal_ignoring_case(name, "Transfer-Encoding");
    for (const auto& [name, value] : fields_) {
      if (concerns_connection(fields_, name) || (chunked && equal_ignoring_case(name, "Content-Length"))) continue;
      head.header(narwhal::lend(name), narwhal::lend(value));
    }
    const narwhal::Sent sent = client_.start(head);
    if (sent == narwhal::Sent::refused)
      throw HttpError(502).because("upstream " + upstream_.url + ": its head may not go on the wire");
    check(sent);
    has_head_ = true;
  }
  static void check(narwhal::Sent sent) {
    if (sent == narwhal::Sent::gone) throw narwhal::Gone();
    if (sent != narwhal::Sent::ok) throw std::runtime_error("upstream: more bytes than it has declared, or no memory");
  }

  const Upstream& upstream_;
  CURL* curl_;
  Deferred client_;
  Request request_;
  std::unique_ptr<curl_slist, Free> lines_;
  std::vector<std::pair<std::string, std::string>> fields_;  // of the answer's head
  bool has_head_ = false, silent_ = false;
  Clock::time_point active_ = Clock::now();  // when something has last passed in either direction
  std::exception_ptr thrown_;                // in a callback
  char error_[CURL_ERROR_SIZE] = "";
};

class Proxy {
 public:
  explicit Proxy(const narwhal::Boot& boot) : upstream_(upstream_of(boot)) {}
  // Deferred, although this thread answers it: a stream's status would have to be known before the upstream has sent it.
  narwhal::Response operator()(const Request&) {
    return narwhal::Response::deferred(
        [this](Deferred client) { Transfer(upstream_, curl_->get(), std::move(client)).run(); });
  }

 private:
  const Library library_;  // before all that uses it
  const Upstream upstream_;
  narwhal::PerThread<Handle> curl_{[] {
    Handle handle(curl_easy_init());
    if (handle == nullptr) throw std::bad_alloc();
    return handle;
  }};
};

}  // namespace

NARWHAL_PLUGIN(Proxy(boot), .name = "proxy", .version = "1.0", .flags = NARWHAL_STREAM_BODY,
               .options = {
                   {"upstream", "string", nullptr, "the server to pass requests on to: http://host:port/path", true},
                   {"connect_timeout", "int", "5", "seconds until a connection to the upstream must be made"},
                   {"timeout", "int", "30", "seconds in which the upstream must send or take something"}})
