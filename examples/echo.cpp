// echo: answers with the request, as JSON, and misbehaves on demand. For tests of the server and of proxies in front
// of it. The query changes the answer:
//   status=NNN     this status; 1xx, 204 and 304 get no body, but with force=1 the server is given one
//   size=N         N bytes of 'x' instead, application/octet-stream
//   chunked=1      no length declared, several pieces        write=1  several pieces, length declared
//   cl=N           declare this length, whatever the body's is
//   rh=Name:Value  add a response header, as often as wanted
//   hint=Name:Value     send it in a 103, before the answer
//   trailer=Name:Value  send it after the body, which is chunked then
//   sleep=S        wait S seconds first
//   noread=1       do not read the request's body            readn=N  read only its first N bytes
//   exc=early      throw before the head                     exc=late throw after the first piece
//   crash=1        dereference a null pointer
// Built twice: echo gets whole bodies, echo-stream (ECHO_FLAGS = NARWHAL_STREAM_BODY) reads them while they arrive.
#include <nettle/sha2.h>
#include <narwhal/app.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#ifndef ECHO_FLAGS
#define ECHO_FLAGS 0
#endif

namespace {

using narwhal::Request;
using narwhal::Response;

constexpr std::array features = {"status", "size", "chunked", "cl",    "rh",    "sleep", "noread",
                                 "readn",  "exc",  "write",   "crash", "force", "hint",  "trailer"};

// The query's parameters. A value that should be a number and is not one throws std::invalid_argument: a 500.
class Wishes {
 public:
  explicit Wishes(const Request& request) : pairs_(request.query_pairs()) {}
  std::string_view text(std::string_view name) const {
    for (const auto& [key, value] : pairs_) {
      if (key == name) return value;
    }
    return "";
  }
  bool has(std::string_view name) const { return !text(name).empty(); }
  bool flag(std::string_view name) const { return text(name) == "1"; }
  template <class Number>
  Number number(std::string_view name, Number otherwise) const {
    const std::string_view digits = text(name);
    if (digits.empty()) return otherwise;
    Number value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < Number{}) {
      throw std::invalid_argument("not a number: " + std::string(name));
    }
    return value;
  }
  // The "Name:Value" of every parameter of this name, as headers.
  narwhal::Headers headers(std::string_view name) const {
    narwhal::Headers headers;
    for (const auto& [key, value] : pairs_) {
      const std::size_t colon = value.find(':');
      if (key == name && colon != value.npos) headers.add(value.substr(0, colon), value.substr(colon + 1));
    }
    return headers;
  }

 private:
  narwhal::QueryPairs pairs_;
};

// Any byte as the character of its number (Latin-1), so that a test can restore the exact bytes.
std::string json_string(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += {'\\', c};
    } else if (byte < 0x20 || byte >= 0x7f) {
      json += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    } else {
      json += c;
    }
  }
  return json += '"';
}

struct BodyFacts {
  std::uint64_t size = 0;
  std::string start;  // its first bytes
  std::string sha256;
};

BodyFacts read_body(const Request& request, std::uint64_t most) {
  constexpr std::size_t shown_max = 256;
  BodyFacts facts;
  sha256_ctx hash;
  sha256_init(&hash);
  std::array<char, 64 * 1024> buffer;
  while (facts.size < most) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), most - facts.size));
    const std::size_t size = request.read({buffer.data(), wanted});
    if (size == 0) break;
    sha256_update(&hash, size, reinterpret_cast<const std::uint8_t*>(buffer.data()));
    facts.start.append(buffer.data(), std::min(size, shown_max - facts.start.size()));
    facts.size += size;
  }
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&hash, digest.size(), digest.data());
  for (const std::uint8_t byte : digest) facts.sha256 += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return facts;
}

std::string describe(const Request& request, const BodyFacts& body) {
  std::string headers, names;
  for (const auto& [name, value] : request.headers()) {
    headers += (headers.empty() ? "[" : ", [") + json_string(name) + ", " + json_string(value) + "]";
  }
  for (const char* name : features) names += (names.empty() ? "" : ", ") + json_string(name);
  return "{\"method\": " + json_string(request.method()) + ", \"path\": " + json_string(request.full_path()) +
         ", \"query\": " + json_string(request.query()) + ", \"headers\": [" + headers +
         "], \"body_len\": " + std::to_string(body.size) + ", \"body_sha256\": " + json_string(body.sha256) +
         ", \"body\": " + json_string(body.start) + ", \"protocol\": " + json_string(request.protocol()) +
         ", \"scheme\": " + json_string(request.scheme()) + ", \"peer\": " + json_string(request.peer()) +
         ", \"peer_port\": " + std::to_string(request.peer_port()) + ", \"client\": " + json_string(request.client()) +
         ", \"uri\": " + json_string(request.target()) + ", \"features\": [" + names + "]}\n";
}

void write_pieces(narwhal::Writer& writer, std::string_view body, bool fail_late, const narwhal::Headers& trailers) {
  constexpr std::size_t pieces = 4, piece_max = 64 * 1024;
  const std::size_t piece = std::clamp<std::size_t>(body.size() / pieces, 1, piece_max);
  do {
    writer.write(body.substr(0, piece));
    if (fail_late) throw std::runtime_error("exc=late");
    body.remove_prefix(std::min(piece, body.size()));
  } while (!body.empty());
  for (const auto& [name, value] : trailers) writer.trailer(name.view(), value.view());
}

Response answer(const Wishes& wishes, std::string body, narwhal::Text type) {
  const int status = wishes.number("status", 200);
  if ((status < 200 || status == 204 || status == 304) && !wishes.flag("force")) body.clear();
  const bool late = wishes.text("exc") == "late", chunked = wishes.flag("chunked") || wishes.has("trailer");
  if (!late && !wishes.has("cl") && !chunked && !wishes.flag("write")) {
    return Response::bytes(std::move(body), std::move(type)).status(status);
  }
  const auto size = static_cast<std::int64_t>(body.size());
  const std::int64_t declared = wishes.number("cl", chunked ? std::int64_t{-1} : size);
  const auto trailers = std::make_shared<narwhal::Headers>(wishes.headers("trailer"));
  auto pieces = [body = std::move(body), late, trailers](narwhal::Writer& writer) {
    write_pieces(writer, body, late, *trailers);
  };
  Response response = Response::stream(std::move(pieces), std::move(type), declared).status(status);
  for (const auto& [name, value] : *trailers) response.header("Trailer", name);
  return response;
}

// A sanitizer must not turn this crash into a report of its own.
__attribute__((no_sanitize("undefined"))) void crash() {
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
}

Response echo(const Request& request) {
  const Wishes wishes(request);
  if (const double wait = wishes.number("sleep", 0.0); wait > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  }
  if (wishes.flag("crash")) crash();
  for (const auto& [name, value] : wishes.headers("hint")) {
    narwhal::inform(request, 103, narwhal::Headers().add(name, value));
  }
  const std::uint64_t most = wishes.flag("noread") ? 0 : wishes.number("readn", ~std::uint64_t{0});
  const BodyFacts body = read_body(request, most);
  if (wishes.text("exc") == "early") throw std::runtime_error("exc=early");
  Response response = wishes.has("size") ? answer(wishes, std::string(wishes.number("size", std::size_t{0}), 'x'),
                                                  "application/octet-stream")
                                         : answer(wishes, describe(request, body), "application/json");
  for (const auto& [name, value] : wishes.headers("rh")) response.header(name, value);
  return response;
}

}  // namespace

NARWHAL_PLUGIN(echo, .name = "echo", .version = "1.0", .flags = ECHO_FLAGS)
