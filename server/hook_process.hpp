// HookProcess: the process that has read a gunicorn.conf.py, and runs its hooks of the master: each once, in the order of
// the calls, one after the other. The master waits for on_starting, when_ready and on_exit alone.
// Faults  a hook that raises, hangs (boot_timeout) or ends the process is a line in the error log. After its end the
//         process is started again for the next hook, and reads the file again; the hook that it ended in is not repeated.
// Blocks  never, apart from end_within().
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "server/config/python_config.hpp"

namespace narwhal::server {

class HookProcess {
 public:
  // `reading` has given its answer, and `config` was made of it.
  HookProcess(PythonConfigReading reading, const Config& config);
  HookProcess(const HookProcess&) = delete;
  HookProcess& operator=(const HookProcess&) = delete;
  ~HookProcess();

  // "pre_fork 1": gunicorn_conf_reader.hpp has the messages.
  void call(std::string message);
  // Every call has returned.
  bool idle() const { return calls_.empty(); }
  // The hook that is running or comes next; empty if idle.
  std::string_view first_call() const;
  // Reads messages, checks time, starts what comes next. Called in each turn of the master's loop.
  void settle(Instant now);

  int descriptor() const { return is_alive() ? process_.descriptor() : -1; }
  Instant deadline() const;
  // A child of the master has ended. True: it was this process.
  bool reaped(pid_t pid, int status) { return process_.reaped(pid, status); }
  // Lets an idle process end by itself: it is started again for the next hook, and reads the file again.
  void rest();
  // Lets it end by itself, with what its file has registered by atexit, for this long at most. Waits.
  void end_within(std::chrono::milliseconds limit);

 private:
  enum class Stage { reading, ready, busy, ended, off };

  bool is_closed() const { return kill_at_ != never; }
  bool is_alive() const { return stage_ != Stage::ended && stage_ != Stage::off; }
  void read_messages(Instant now);
  void take_message(std::string_view message);
  void read_again(Instant now);
  void closed(Instant now);
  void check_end(Instant now);
  void check_time(Instant now);
  void returned();
  void send_next(Instant now);
  void start_again();
  void switch_off(const std::string& why);

  PythonConfigReading process_;
  const std::string settings_;
  const std::chrono::seconds limit_;  // of one hook
  std::deque<std::string> calls_;     // the first one is running where the stage is busy
  Stage stage_ = Stage::ready;
  bool has_returned_ = false;  // from any call, since the process was started
  Instant deadline_ = never;
  Instant kill_at_ = never;  // set when its end of the socket is closed
};

}  // namespace narwhal::server
