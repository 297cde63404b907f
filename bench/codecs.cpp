// Micro-benchmarks of the codecs: nanoseconds a call, best of five runs.
//   codecs                   all of them
//   codecs NAME CALLS        one, a fixed number of calls, for instruction counters such as
//                            valgrind --tool=callgrind: (count of 2n calls - count of n calls) / n
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/http1_chunks.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/http1_response.hpp"
#include "protocol/percent.hpp"

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
