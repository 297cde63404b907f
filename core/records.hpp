// Records: the messages between the master and its children.
// Wire  one record per message, over SOCK_SEQPACKET pairs: a record is whole or absent. The kernel provides the
//       sender's pid (SCM_CREDENTIALS); nothing else in a child's record is trusted.
// EOF   on either end means that the other process is gone: a child then leaves, gracefully.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal {

// Child to master.
enum class Report : std::uint32_t {
  hello = 1,  // worker: first report after the fork
  // template or worker: `text` is what it is about to do ("load ./app.so"), for the message of a failure; `code`: the
  // server's exit code if a template ends in this step, 0: the code for "not loaded"
  step,
  loaded,       // template: every plugin is loaded; it forks on demand from now on
  ready,        // worker: may accept
  failed,       // template or worker: cannot boot; `text` says step and reason; `code` is its coming exit code
  stuck,        // worker: a request passed its deadline; it leaves once it is replaced
  fork_failed,  // template: for `slot`, with the errno text in `text`
  expired,      // worker: it has passed max_requests or a like limit; it serves until it has been replaced
  leaving,      // worker: a signal of an operator ends it; it leaves without an order
  watch,        // template or worker, with `reload` on: the application was made from the file in `text`
};

// Master to child.
enum class Order : std::uint32_t {
  spawn = 1,   // template: fork a worker for `slot`; its seat's socket is attached (SCM_RIGHTS)
  accept,      // worker: start to accept
  drain,       // worker: no new connections, finish requests, leave; `code` 1: no other worker accepts any more
  quit,        // worker: leave at once
  leave,       // template: close the listeners, fork no more; end when this socket is closed
  error_log,   // both: the attached file is the error log from now on
  access_log,  // both: the same for the access log
  withhold,    // worker: accept nothing until the next `accept`; serve the connections that there are
};

// Admin process to master. `generation`: the command's id, which the master's answer repeats (core/server_state.hpp).
enum class Command : std::uint32_t {
  reload = 1,
  rollback,
  scale,      // `code`: the number of workers
  replace,    // the worker with the pid in `code`, when another one serves in its place
  kill,       // the same at once, by SIGKILL
  reopen,     // the log files
  upgrade,    // as USR2
  stop,       // as TERM
  stop_quick  // as INT
};

struct Record {
  std::uint32_t kind = 0;  // a Report, an Order or a Command
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;  // a Command's id
  std::int32_t code = 0;
  char text[492] = {};  // NUL-terminated, cut to fit
};

struct Received {
  enum class Status { record, nothing_yet, gone };
  Status status = Status::nothing_yet;
  Record record;
  std::int32_t pid = 0;  // the sender, as the kernel reports it; 0 if unknown
  Fd fd;                 // the attached descriptor
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
Record make_record(Command kind, std::uint64_t id, std::int32_t argument);

}  // namespace narwhal
