// Micro-benchmarks of the codecs: nanoseconds a call, best of five runs.
//   codecs                   all of them
//   codecs NAME CALLS        one, a fixed number of calls, for instruction counters such as
//                            valgrind --tool=callgrind: (count of 2n calls - count of n calls) / n
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "protocol/fastcgi_reader.hpp"
#include "protocol/http1_chunks.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/http1_response.hpp"
#include "protocol/percent.hpp"
#include "protocol/scgi_head.hpp"
#include "protocol/uwsgi_head.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::string_view hello_head = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

constexpr std::string_view browser_head =
    "GET /shop/items/view?id=4711&ref=start&lang=de HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: de,en-US;q=0.7,en;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://www.example.org/shop/start?campaign=autumn-2026\r\n"
    "Cookie: session=3c1f8a0e5d7b4926a1c0f8e7d6b5a493; theme=dark; consent=1; cart=8f14e45fceea167a5a36dedd4bea2543; "
    "_track=GA1.2.1234567890.1700000000\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Cache-Control: max-age=0\r\n"
    "\r\n";

// ---- what nginx makes of the browser's request: for proxy_pass, and as variables ----

constexpr std::string_view user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";
constexpr std::string_view accept =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
constexpr std::string_view referer = "https://www.example.org/shop/start?campaign=autumn-2026";
constexpr std::string_view cookie =
    "session=3c1f8a0e5d7b4926a1c0f8e7d6b5a493; theme=dark; consent=1; cart=8f14e45fceea167a5a36dedd4bea2543; "
    "_track=GA1.2.1234567890.1700000000";

// With what an operator adds there, so that the application knows as much as from the variables.
constexpr std::string_view proxied_head =
    "GET /shop/items/view?id=4711&ref=start&lang=de HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "X-Real-IP: 192.0.2.17\r\n"
    "X-Forwarded-For: 192.0.2.17\r\n"
    "X-Forwarded-Proto: https\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: de,en-US;q=0.7,en;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://www.example.org/shop/start?campaign=autumn-2026\r\n"
    "Cookie: session=3c1f8a0e5d7b4926a1c0f8e7d6b5a493; theme=dark; consent=1; cart=8f14e45fceea167a5a36dedd4bea2543; "
    "_track=GA1.2.1234567890.1700000000\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Cache-Control: max-age=0\r\n"
    "\r\n";

struct Variable {
  std::string_view name, value;
};

// As Debian's /etc/nginx/fastcgi_params has it, and the fields of the request.
constexpr Variable variables[] = {
    {"QUERY_STRING", "id=4711&ref=start&lang=de"},
    {"REQUEST_METHOD", "GET"},
    {"CONTENT_TYPE", ""},
    {"CONTENT_LENGTH", "0"},  // nginx sends none but over SCGI; with one the three wires do the same work
    {"SCRIPT_NAME", "/shop/items/view"},
    {"REQUEST_URI", "/shop/items/view?id=4711&ref=start&lang=de"},
    {"DOCUMENT_URI", "/shop/items/view"},
    {"DOCUMENT_ROOT", "/usr/share/nginx/html"},
    {"SERVER_PROTOCOL", "HTTP/1.1"},
    {"REQUEST_SCHEME", "https"},
    {"HTTPS", "on"},
    {"GATEWAY_INTERFACE", "CGI/1.1"},
    {"SERVER_SOFTWARE", "nginx/1.22.1"},
    {"REMOTE_ADDR", "192.0.2.17"},
    {"REMOTE_PORT", "52114"},
    {"SERVER_ADDR", "192.0.2.2"},
    {"SERVER_PORT", "443"},
    {"SERVER_NAME", "www.example.org"},
    {"REDIRECT_STATUS", "200"},
    {"HTTP_HOST", "www.example.org"},
    {"HTTP_USER_AGENT", user_agent},
    {"HTTP_ACCEPT", accept},
    {"HTTP_ACCEPT_LANGUAGE", "de,en-US;q=0.7,en;q=0.3"},
    {"HTTP_ACCEPT_ENCODING", "gzip, deflate, br"},
    {"HTTP_REFERER", referer},
    {"HTTP_COOKIE", cookie},
    {"HTTP_CONNECTION", "keep-alive"},
    {"HTTP_UPGRADE_INSECURE_REQUESTS", "1"},
    {"HTTP_CACHE_CONTROL", "max-age=0"},
};

void add(std::string& text, std::size_t number) { text += static_cast<char>(number); }

std::string uwsgi_packet() {
  std::string block;
  const auto add_sized = [&](std::string_view text) {
    add(block, text.size() & 0xff);
    add(block, text.size() >> 8);
    block += text;
  };
  for (const Variable& each : variables) {
    add_sized(each.name);
    add_sized(each.value);
  }
  std::string packet(1, '\0');
  add(packet, block.size() & 0xff);
  add(packet, block.size() >> 8);
  return packet + '\0' + block;
}

std::string scgi_head() {
  std::string block("CONTENT_LENGTH\0000\0SCGI\0001\0", 24);
  for (const Variable& each : variables) {
    if (each.name == "CONTENT_LENGTH") continue;
    block.append(each.name).append(1, '\0').append(each.value).append(1, '\0');
  }
  return std::to_string(block.size()) + ":" + block + ",";
}

void add_record(std::string& stream, fastcgi::Type type, std::string_view content) {
  char header[fastcgi::header_bytes];
  fastcgi::encode_header(type, 1, content.size(), header);
  stream.append(header, sizeof header).append(content);
}

std::string fastcgi_request() {
  std::string params, stream;
  const auto add_length = [&](std::size_t size) {
    if (size >= 0x80) {
      add(params, 0x80 | size >> 24);
      add(params, size >> 16 & 0xff);
      add(params, size >> 8);
    }
    add(params, size & 0xff);
  };
  for (const Variable& each : variables) {
    add_length(each.name.size());
    add_length(each.value.size());
    params.append(each.name).append(each.value);
  }
  add_record(stream, fastcgi::Type::begin_request, std::string_view("\0\1\1\0\0\0\0\0", 8));
  add_record(stream, fastcgi::Type::params, params);
  add_record(stream, fastcgi::Type::params, {});
  add_record(stream, fastcgi::Type::standard_in, {});
  return stream;
}

// What the compiler may not leave out.
template <class Value>
void keep(const Value& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

void decode(std::string_view bytes, long calls) {
  Head head;
  for (long i = 0; i < calls; ++i) {
    const HeadFed fed = decode_head(bytes, 0, HeadLimits{}, head);
    if (fed.status != Status::complete) std::abort();
    keep(head);
  }
}

// Names are rewritten where they lie, so each call gets the bytes as they came; to copy them is a part of what is measured.
template <class Decode>
void decode_variables(const std::string& bytes, long calls, Decode decode) {
  std::string copy = bytes;
  Head head;
  CgiRequest request;
  for (long i = 0; i < calls; ++i) {
    copy.assign(bytes);
    if (decode(std::span<char>(copy), head, request).status != Status::complete) std::abort();
    keep(head);
    keep(request);
  }
}

void decode_uwsgi(long calls) {
  decode_variables(uwsgi_packet(), calls, [](std::span<char> bytes, Head& head, CgiRequest& request) {
    return decode_uwsgi_head(bytes, HeadLimits{}, head, request);
  });
}

void decode_scgi(long calls) {
  decode_variables(scgi_head(), calls, [](std::span<char> bytes, Head& head, CgiRequest& request) {
    return decode_scgi_head(bytes, HeadLimits{}, head, request);
  });
}

void decode_fastcgi(long calls) {
  fastcgi::Reader reader(HeadLimits{}, {});
  decode_variables(fastcgi_request(), calls, [&](std::span<char> bytes, Head& head, CgiRequest& request) {
    const bool is_head = reader.feed_head(bytes, 0, head, request).event == fastcgi::Event::head;
    reader.next_request();
    CgiFed fed;
    fed.status = is_head ? Status::complete : Status::refused;
    return fed;
  });
}

void chunks(long calls) {
  const std::string body = "400\r\n" + std::string(1024, 'x') + "\r\n0\r\n\r\n";
  for (long i = 0; i < calls; ++i) {
    ChunkDecoder decoder;
    std::string_view rest = body;
    ChunkFed fed;
    do {
      fed = decoder.feed(rest);
      rest.remove_prefix(fed.consumed);
    } while (fed.status == Status::need_more);
    if (fed.status != Status::complete) std::abort();
    keep(fed);
  }
}

void respond(long calls) {
  const Field fields[] = {{std::string_view("Content-Type"), std::string_view("text/plain")}};
  char date[date_bytes];
  encode_date(784111777, date);
  ResponseHead head;
  head.fields = fields;
  head.field_count = std::size(fields);
  head.content_length = 13;
  head.date = {date, date_bytes};
  head.server = "narwhal";
  char out[512];
  for (long i = 0; i < calls; ++i) {
    keep(head);
    keep(encode_response_head(head, out));
    keep(out);
  }
}

void check(long calls) {
  const Field fields[] = {{std::string_view("Content-Type"), std::string_view("text/plain")}};
  for (long i = 0; i < calls; ++i) {
    keep(fields);
    if (check_response(200, fields, std::size(fields))) std::abort();
  }
}

void date(long calls) {
  char out[date_bytes];
  for (long i = 0; i < calls; ++i) {
    encode_date(784111777 + i, out);
    keep(out);
  }
}

void percent(long calls) {
  constexpr std::string_view path = "/shop/a%20quiet%20place/caf%C3%A9/index.html";
  char out[path.size()];
  for (long i = 0; i < calls; ++i) {
    if (!percent_decode(path, out)) std::abort();
    keep(out);
  }
}

struct Codec {
  std::string_view name;
  void (*run)(long calls);
};

constexpr Codec codecs[] = {
    {"head-hello", [](long calls) { decode(hello_head, calls); }},
    {"head-browser", [](long calls) { decode(browser_head, calls); }},
    {"head-proxied", [](long calls) { decode(proxied_head, calls); }},
    {"head-fastcgi", decode_fastcgi},
    {"head-scgi", decode_scgi},
    {"head-uwsgi", decode_uwsgi},
    {"chunks-1k", chunks},
    {"response-head", respond},
    {"check-response", check},
    {"date", date},
    {"percent", percent},
};

double ns_per_call(const Codec& codec, long calls) {
  double best = 1e18;
  for (int run = 0; run < 5; ++run) {
    const auto start = std::chrono::steady_clock::now();
    codec.run(calls);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / static_cast<double>(calls));
  }
  return best;
}

}  // namespace
}  // namespace narwhal::protocol

int main(int argc, char** argv) {
  using narwhal::protocol::Codec;
  using narwhal::protocol::codecs;
  for (const Codec& codec : codecs) {
    if (argc == 3 && codec.name == argv[1]) return codec.run(std::atol(argv[2])), 0;
    if (argc == 1) std::printf("%-16s %8.1f ns\n", codec.name.data(), narwhal::protocol::ns_per_call(codec, 200000));
  }
  return argc == 1 ? 0 : 2;
}
