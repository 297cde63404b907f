// LogProcess: the server's one process that writes its logs, where a setting asks for what only Python can do: syslog,
// statsd, logconfig, logger_class. Master and workers send it their lines over one socket, of which the master keeps both
// ends. So nothing in it is lost when the process dies: it is started again, and reads on.
// Faults  settings that do not work are an error at the start, and at a reload the reason to keep the old generation.
// Blocks  begin() and end(), for a limited time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/log_records.hpp"
#include "server/backoff.hpp"
#include "server/log_run.hpp"

namespace narwhal::server {

class LogProcess {
 public:
  LogProcess() = default;
  LogProcess(const LogProcess&) = delete;
  LogProcess& operator=(const LogProcess&) = delete;
  ~LogProcess() { end(); }

  // Before the first line: starts it if the settings need it, and waits until it is ready.
  Result<Done> begin(const Config& config);

  // ---- a reload ----
  // Starts a second one with the new settings, which waits for take_over() or discard().
  void prepare(const Config& config);
  bool prepared() const { return !fault() && (!next_ || next_->state() == LogRun::State::ready); }
  bool preparing() const { return next_ && next_->state() == LogRun::State::starting; }
  const std::string* fault() const;  // of prepare(); null: none
  void take_over(const Config& config);
  void discard();
  // No generation sends lines any more.
  void stop();

  // ---- in each turn of the master's loop ----
  void add_sockets(std::vector<pollfd>& watched) const;
  Instant deadline() const;
  void settle(Instant now, std::uint32_t dice);
  // How often it has ended or failed to start while lines were sent to it.
  unsigned failures() const { return failures_; }
  // A child of the master has ended. True: it was this process.
  bool reaped(pid_t pid, int status, std::uint32_t dice);
  // USR1.
  void reopen() const;
  // The metric gunicorn.workers, when it changes.
  void count_workers(unsigned serving);

  // The socket for the lines of a generation with these settings; -1: it does not need one.
  int socket_for(const Config& config) const { return needs_log_process(config) ? sockets_.writer.get() : -1; }
  // After the last line of all processes.
  void end();

 private:
  Result<Done> open_sockets();
  void start_again(std::uint32_t dice);
  void failed_again(const std::string& why, std::uint32_t dice);

  LogSockets sockets_;
  Config config_;                 // of run_
  std::unique_ptr<LogRun> run_;   // that reads
  std::unique_ptr<LogRun> next_;  // of a reload
  std::string fault_;             // next_ could not be started
  Backoff backoff_;
  Instant due_ = never;  // when run_ is started again
  unsigned failures_ = 0;
  std::optional<unsigned> workers_;
};

}  // namespace narwhal::server
