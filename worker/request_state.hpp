// RequestState: what an exchange knows of its request and of how far it has come. All of it is that request's alone:
// Exchange::reset() assigns a fresh one, so that nothing of it can reach the next client.
// Threads  the holder of the baton, except where it says otherwise.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/clock.hpp"
#include "worker/buffers.hpp"
#include "worker/pace.hpp"
#include "worker/peer.hpp"

namespace narwhal::worker {

class Connection;
struct Mount;

// A value for the access log, in the exchange's arena.
struct LogValue {
  const LogValue* next;
  std::string_view name, value;
};

struct RequestState {
  // ---- filled by the connection; the handler's thread reads it ----
  Buffer* in = nullptr;                 // where the head lies; one reference
  const char* request_begin = nullptr;  // in `in`, where all of the request lies there; null: it does not
  const char* request_end = nullptr;    // after its last byte
  std::uint16_t record_id = 0;          // of a FastCGI request
  Connection* connection = nullptr;     // null: the client is gone, or was answered by the host
  Mount* mount = nullptr;               // null: answered by the host alone
  Instant started = unset;              // head complete
  std::uint16_t host_status = 0;        // not 0: the host answers with this status, no handler sees it
  bool is_poison = false;               // that status is 503 because workers have died in such requests
  Peer peer;
  std::string_view prefix;         // of the path: where the web server in front and the route mount the plugin
  std::string_view client;         // as the proxies in front name it; empty: the peer is the client
  std::uint64_t body_arrived = 0;  // bytes since its head, and whether they come quickly enough
  Pace body_pace;

  // ---- how far it has come ----
  bool returned = false;  // handle() has returned
  bool deferred = false;
  bool head_taken = false;           // the loop has seen the response's head: it is sent, or about to be
  bool ended = false;                // the loop has seen the whole response
  bool timed_out = false;            // the host answered in the handler's place
  bool is_slow = false;              // has passed `soft_timeout`
  bool queued = false;               // in the list of those ready
  bool handled = false;              // given to the crew
  bool retired = false;              // nobody needs it; it goes back when it is in no queue
  bool gathered = false;             // parts of its response wait for more
  std::uint8_t deferred_record = 0;  // DeferredRecords: it is counted there; where

  // ---- the answering thread's, until the response has ended ----
  bool keep_alive = true;
  bool handed_over = false;              // some of the response went to the loop before its end
  bool ended_in_handler = false;         // on the thread of its handler, which has still to return
  void* user = nullptr;                  // the plugin's; atomic
  const LogValue* log_values = nullptr;  // the last one first
};

}  // namespace narwhal::worker
