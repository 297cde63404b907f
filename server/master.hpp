// Master: forks, watches, signals. It has one thread and one poll(), and every wait is a state with a deadline, so that
// it handles every signal in every state. It maps no plugin and parses no request.
// Signals  TERM graceful stop; INT, QUIT quick stop; HUP reload; TTIN, TTOU one worker more or less; WINCH none;
//          USR1 reopens the logs; USR2 upgrades the program (upgrade.hpp). Workers and templates receive their orders over sockets.
// Hooks    of a gunicorn.conf.py run in a process of their own (hooks.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/signals.hpp"
#include "server/admin_process.hpp"
#include "server/announcer.hpp"
#include "server/backlog_metric.hpp"
#include "server/clock_watch.hpp"
#include "server/daemon.hpp"
#include "server/pidfile.hpp"
#include "server/site.hpp"
#include "server/state_publisher.hpp"
#include "server/succession.hpp"
#include "server/upgrade.hpp"

namespace narwhal::server {

class Master : private Succession::Observer, private Upgrade::Observer {
 public:
  // The parts that main connects.
  struct Parts {
    ReadConfig read_config;
    TemplateBody run_template;
    std::string version;
    std::vector<std::string> notices;    // about the configuration of the start, for the log whatever its level is
    Daemon* daemon = nullptr;            // what this process is with --daemon; outlives the master
    Hooks hooks{};                       // of that configuration
    Program program{};                   // what an upgrade executes
    Inheritance* inheritance = nullptr;  // of another master, or none; outlives this one
    AdminBody run_admin{};               // not needed without an admin process
  };

  // Throws StartupError. Changes the process: signal actions, title, subreaper.
  Master(Config config, Parts parts);
  ~Master();
  // Runs until a signal stops it; returns the server's exit code. Throws StartupError before the first fork.
  int supervise();

 private:
  enum class Stop { none, graceful, quick };

  const Config& config() const;
  void start();
  bool wait_for_hooks(std::chrono::seconds limit);
  void give_up_hooks();
  void turn();
  void publish();
  bool in_peace() const;
  int daemon_descriptor() const;
  void settle_daemon();
  void check_watched_files();
  void wait();
  void serve_signals();
  void on_signal(int signo);
  void retire_workers();
  void carry_out(const Record& command);
  void on_quit();
  void stop(Stop how);
  void reap();
  void reopen_logs();
  int shut_down();
  void run_on_exit();

  void bound(const Plan& plan) override;
  void reloading(Transaction::Kind kind, Instant now) override;
  void comparing(const std::string& what, const Config& next) override;
  void reload_failed(const std::string& why) override;
  void took_over(const Plan& plan, const Config* former) override;

  ListenerList listeners_to_hand_over() override;
  void new_master_starts(pid_t pid) override;
  void new_master_ready(pid_t pid) override;
  void took_back(const std::string& why) override;
  void became_main() override;
  void promoted() override;
  Result<Done> take_pidfile() override { return move_pidfile(pidfile_path(config())); }

  std::string remark_of_reload(const Config& config) const;
  void set_title(const Config& config) const;
  std::string pidfile_path(const Config& config) const;
  Result<Done> move_pidfile(const std::string& path);

  const Config start_config_;
  Parts parts_;
  SignalPipe signals_;  // before anything that must be removed at the end
  Site site_;
  Upgrade upgrade_;  // its end promotes a new master: after the end of the pid file
  Announcer announcer_;
  BacklogMetric backlog_metric_;
  ClockWatch clock_watch_;
  StatePublisher publisher_;
  AdminProcess admin_;
  Hooks hooks_;  // of the generation that serves
  std::optional<Pidfile> pidfile_;
  Succession succession_;
  std::string addresses_;  // as last logged
  Stop stop_ = Stop::none;
  Instant now_ = unset;  // when this turn began
  std::vector<pollfd> watched_;
  std::vector<int> readable_;
};

}  // namespace narwhal::server
