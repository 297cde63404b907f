// Records: what the master and its children say to each other.
// Wire  one record a message, over SOCK_SEQPACKET pairs: a record is whole or absent. The kernel
//       vouches for the sender's pid (SCM_CREDENTIALS); nothing else that a child says is trusted.
// EOF   on either end means that the other process is gone: a child then leaves, gracefully.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal {

// Child to master.
enum class Report : std::uint32_t {
  hello = 1,  // worker: first words after the fork
  step,    // template or worker: what it is about to do, in text ("load ./app.so"), for the failure's line; `code`: the
           // server's exit code if this is the end of a template, 0: as if it had not loaded
  loaded,  // template: every plugin is loaded; it forks on demand from now on
  ready,   // worker: may accept
  failed,  // template or worker: cannot boot; text says step and reason; `code` is the exit code to come
  stuck,   // worker: a request passed its deadline; replace me, then I leave
  fork_failed,  // template: slot in `slot`, errno text in text
  watch,        // template or worker, under `reload`: the application was made from the file in text
};

// Master to child.
enum class Order : std::uint32_t {
  spawn = 1,   // template: fork a worker for `slot`; its seat's socket comes along (SCM_RIGHTS)
  accept,      // worker: start to accept
  drain,       // worker: no new connections, finish what is in hand, leave; `code` 1: nobody else accepts any more
  quit,        // worker: leave at once
  leave,       // template: no more workers will be asked for
  error_log,   // both: what comes along is the error log from now on
  access_log,  // both: the same for the access log
};

struct Record {
  std::uint32_t kind = 0;  // a Report or an Order
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
  std::int32_t code = 0;
  char text[492] = {};  // NUL-terminated, cut to fit
};

struct Received {
  enum class Status { record, nothing_yet, gone };
  Status status = Status::nothing_yet;
  Record record;
  std::int32_t pid = 0;  // the sender, by the kernel's word; 0 when unknown
  Fd fd;                 // what came along
};

// A connected pair of non-blocking, close-on-exec SOCK_SEQPACKET sockets that carry credentials.
struct Pair {
  Fd master, child;
};
Result<Pair> open_pair();
Result<Done> send_record(int socket, const Record& record, int fd = -1);
Received receive_record(int socket);
Record make_record(Report kind, std::uint32_t slot, std::uint64_t generation, std::string_view text = {},
                   std::int32_t code = 0);
Record make_record(Order kind, std::uint32_t slot, std::uint64_t generation);

}  // namespace narwhal
