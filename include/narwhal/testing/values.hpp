// Values of the test harness: how a worker is set up, what a client sends, and what it gets.
// Ownership  plain values; all text is copied.
// Units      sizes in bytes, times in the types of <chrono>; deadline_ns in nanoseconds of CLOCK_MONOTONIC.
// Threads    none.
#pragma once

#include <narwhal/text.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal::testing {

using Fields = std::vector<std::pair<std::string, std::string>>;
inline constexpr std::size_t never = ~std::size_t{0};

// How a worker is set up. Every member has a default.
struct Settings {
  std::map<std::string, std::string> options = {};  // checked against the plugin's list, as the server does
  std::string prefix = "";                          // where the plugin is mounted, decoded: "", "/shop"
  unsigned threads = 1;                             // handler threads
  bool preload = false;                             // call preload() first, as the setting preload_app does
  std::chrono::milliseconds timeout{0};             // for each request; 0: none. See also Client::pass_deadline()
  // How long the harness waits for something to happen: a deferred answer, the end of a handler. Then it is a breach.
  std::chrono::milliseconds patience{10'000};
  std::size_t response_buffer = 256 * 1024;  // bytes that a client has not read before a write has to wait for it
  std::int32_t worker = 0;                   // what narwhal_boot says
  std::uint32_t workers = 1;
  std::uint64_t generation = 1;
  bool leaves_at_once = false;                   // what left_at_once() says in worker_exit()
  std::size_t host_size = sizeof(narwhal_host);  // a host of an earlier minor version: its table ends here
};

// What a client sends, and how it behaves.
struct ClientRequest {
  std::string method = "GET", target = "/", body = "";
  Fields headers = {};
  bool adds_headers = true;  // Host, and Content-Length or Transfer-Encoding of a body, unless `headers` has them
  std::string protocol = "HTTP/1.1";
  std::string scheme = "http";
  std::string peer = "192.0.2.1";  // the sender's address
  std::uint16_t peer_port = 40'000;
  std::string client = "";           // what a trusted proxy reports; empty: the peer
  bool chunked = false;              // the length of the body is not declared
  bool body_follows = false;         // more of it comes by Client::send_body(), until Client::end_body()
  bool body_in_file = false;         // as a large body is: body_fd() gives a descriptor
  std::size_t read_max = 1 << 20;    // the most that read_body() gives at once
  std::int64_t deadline_ns = 0;      // 0: by Settings::timeout
  std::size_t leaves_after = never;  // the client leaves after so many calls of write()
  // After so many calls of write() the client is slow: those that may not wait get NARWHAL_AGAIN, others wait a moment.
  std::size_t slow_after = never;
  // So many calls that need memory get it: alloc(), log_value(), respond(), start(), write(), write_lent(), send_file(),
  // inform(), trailers(). Those that follow fail as plugin.h says of each. A loop from 0 on tries every place.
  std::size_t memory_calls = never;
};

// What a client gets, and what the server's logs get to see of it.
struct Answer {
  int code = 0;              // what handle() returned
  bool returned = false;     // it has
  int status = 0;            // 0: the client has got no head
  Fields headers = {};       // the plugin's, those that the host drops left out
  Fields host_headers = {};  // the host's own: Date, Server, Content-Length or Transfer-Encoding, Connection
  std::string body = "";     // without its framing
  Fields trailers = {};
  std::vector<std::pair<int, Fields>> interim = {};  // in order: {103, {{"Link", "</style.css>"}}}
  Fields log_values = {};                            // of log_value(), in order
  std::string reason = "";                           // of fail(), or the host's own for a 500
  std::string phrase = "";                           // the plugin's reason phrase; empty: the standard one
  bool complete = false;                             // the client has all of it
  bool cut = false;                                  // it was cut off, which the client sees
  bool timed_out = false;                            // the host has answered in the plugin's place
  bool client_left = false;

  // The value of the first field of this name in any case, the plugin's or the host's; empty when there is none.
  std::string header(std::string_view name) const {
    const std::string* const found = find(name);
    return found != nullptr ? *found : std::string();
  }
  bool has_header(std::string_view name) const { return find(name) != nullptr; }

 private:
  const std::string* find(std::string_view name) const {
    for (const Fields* fields : {&headers, &host_headers}) {
      for (const auto& [key, value] : *fields) {
        if (equal_ignoring_case(key, name)) return &value;
      }
    }
    return nullptr;
  }
};

// A line of the server's error log, the plugin's or the host's own.
struct LogLine {
  std::int32_t level = NARWHAL_LOG_INFO;
  std::string line = "", text = "";  // `text`: what log_text() adds
  bool is_plugins = false;           // of log() or log_text(), not the host's own
};

}  // namespace narwhal::testing
