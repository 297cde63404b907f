// What a child of the master inherits, and the words they exchange.
// Wire  one record a message, over SOCK_SEQPACKET pairs: a record is whole or absent. The kernel
//       vouches for the sender's pid (SCM_CREDENTIALS); what else a child says is gossip.
// EOF   on either end means that the other process is gone: a child then leaves, gracefully.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"
#include "core/scoreboard.hpp"

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

// One bound and listening socket.
struct Listener {
  Bind bind;
  Fd fd;
  std::string address;     // as the log shows it: "http://127.0.0.1:8000", "unix:/run/x.sock"
  bool activated = false;  // handed over by systemd: config has no say, and it is never unlinked
};

// A plugin as this generation runs it: the private copy, and where it came from.
struct StagedPlugin {
  std::string source;  // as the config names it
  std::string copy;    // absolute path of the private, read-only copy: what is loaded
  std::string digest;  // hexadecimal
};

// One generation: everything a reload changes, and nothing that changes after.
struct Generation {
  std::uint64_t number = 0;
  Config config;
  std::vector<StagedPlugin> plugins;  // one for each of config.routes, same order
};

// What the template inherits. `listeners` and `scoreboard` outlive it.
struct TemplateSeat {
  std::shared_ptr<const Generation> generation;
  Fd master;  // reports out, orders in
  std::vector<const Listener*> listeners;
  Scoreboard* scoreboard = nullptr;
  int access_log = -1;  // opened with the master's rights; -1: none. Its number stays when the file is another
};

// What one worker inherits.
struct Seat {
  std::shared_ptr<const Generation> generation;
  std::uint32_t slot = 0;  // its place in the scoreboard
  Fd master;
  std::vector<const Listener*> listeners;
  Scoreboard* scoreboard = nullptr;
  int relay_give = -1, relay_take = -1;  // the template's: see worker/relay.hpp
  int access_log = -1;                   // as the template's
};

// Exit codes of template and workers; the master's own are Gunicorn's (0, 1, 2, 3, 4).
constexpr int exit_boot_failed = 3;
constexpr int exit_app_failed = 4;

}  // namespace narwhal
