// AdminProcess: the process that shows what the server does and takes an operator's commands (admin/), as the master sees
// it. It is a worker in a slot of its own, with one plugin of ours, on sockets of its own.
// Faults  it is started again when it ends, with back-off; the server serves without it meanwhile.
// Trust   it runs as the workers' user, but without code of applications: its commands are obeyed. They come over a socket
//         that no worker has.
// Blocks  never, apart from end(), for a moment.
#pragma once

#include <poll.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/board.hpp"
#include "server/backoff.hpp"
#include "server/plan.hpp"
#include "server/site.hpp"
#include "server/worker_process.hpp"

namespace narwhal::server {

// What runs in the process; its result is the exit status. main passes admin::run_admin.
using AdminBody = std::function<int(AdminSeat)>;

class AdminProcess {
 public:
  // Both outlive it.
  AdminProcess(Site& site, const Board& board, AdminBody body) : site_(site), board_(board), body_(std::move(body)) {}
  ~AdminProcess();
  AdminProcess(const AdminProcess&) = delete;
  AdminProcess& operator=(const AdminProcess&) = delete;

  // Binds what the settings ask for, if anything. Errors: an address that cannot be had.
  Result<Done> bind(const Config& config, InheritedSockets& inherited);
  // Starts the process, unless it runs.
  void resume(Instant now);
  // Ends it: the one of another master answers on the same sockets.
  void pause();
  // This master stops, and another one answers on the same sockets: the process takes no further connection, answers the
  // requests that it has, and ends.
  void leave(Instant now);
  // A socket whose file was removed, which no client can find, is bound again.
  void renew_lost_files(Instant now);
  bool is_on() const { return plan_.generation != nullptr; }
  // `others`, and its own.
  ListenerList listeners_after(ListenerList others) const;
  // "unix:/run/narwhal.sock,http://127.0.0.1:9000"
  std::string addresses() const;

  // ---- in each turn of the master's loop ----
  void add_sockets(std::vector<pollfd>& watched) const;
  Instant deadline(Instant now) const;
  // The commands that have come. `readable` is sorted.
  std::vector<Record> read(std::span<const int> readable, Instant now);
  void settle(Instant now);
  bool reaped(pid_t pid, int status, Instant now);
  // USR1, or another error log.
  void follow_log(const std::string& errorlog);

  void end();

 private:
  void start(Instant now);
  Result<Done> fork(std::uint32_t slot, Instant now);
  int run_in_child(Fd master, Fd commands, std::uint32_t slot);
  void start_later(const std::string& why, Instant now, LogLevel level = LogLevel::error);

  Site& site_;
  const Board& board_;
  AdminBody body_;
  Plan plan_;
  std::optional<WorkerProcess> process_;
  std::optional<Child> child_;
  Fd commands_;
  Backoff backoff_;
  Instant due_ = never;  // when it is started again
  bool is_leaving_ = false;
};

}  // namespace narwhal::server
