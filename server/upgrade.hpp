// Upgrade: two masters of one server for a while, after USR2: the old one, and the new one, which
// is its child. Both listen on the same sockets. Each goes on without the other, whichever ends first.
// Old       when the new one does not get ready, it is ended, and this server goes on as before. When the new one serves
//           and ends later, this server goes on alone.
// New       when the old one is gone, it is promoted: it takes over what only one of them can have.
// Files     the file of a Unix socket that both listen on is removed by the one that stops last.
// Blocks    never.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "server/hooks.hpp"
#include "server/inheritance.hpp"
#include "server/next_master.hpp"
#include "server/plan.hpp"
#include "server/site.hpp"

namespace narwhal::server {

class Upgrade {
 public:
  // Receives the events; the master passes them on to the service manager, the pid file and the workers.
  class Observer {
   public:
    // Everything that the new master is to have.
    virtual ListenerList listeners_to_hand_over() = 0;
    virtual void new_master_starts(pid_t pid) = 0;
    virtual void new_master_ready(pid_t pid) = 0;
    // This master is alone again. `why`: the new one did not get ready, or crashed; empty: it was stopped.
    virtual void took_back(const std::string& why) = 0;
    // The old master has reported to the service manager that this one is the service.
    virtual void became_main() = 0;
    // The old master is gone.
    virtual void promoted() = 0;
    // After that. It is called again a moment later if it fails: of a killed process the kernel closes one descriptor after
    // the other.
    virtual Result<Done> take_pidfile() = 0;

   protected:
    ~Observer() = default;
  };

  // All outlive it. `inheritance`: null or empty for a master that no other has started.
  Upgrade(Program program, Inheritance* inheritance, Site& site, Observer& observer);

  // USR2. The error is why this cannot be now.
  Result<Done> request(Instant now);
  // In each turn of the master's loop. `serving` is null while a start or a reload is running: an upgrade waits for it.
  void settle(Instant now, const Plan* serving);
  void add_sockets(std::vector<pollfd>& watched) const;
  Instant deadline(Instant now) const;
  bool reaped(pid_t pid, int status, Instant now);

  // ---- of a new master ----
  bool has_predecessor() const { return predecessor_.is_open(); }
  // Its sockets are bound; it closes what it has inherited and does not use.
  void bound(const ListenerList& listeners);
  void serves() { predecessor_.send("ready"); }
  void failed(const std::string& reason) { predecessor_.send("failed " + reason); }

  // The master that serves on when this one stops; 0: there is none.
  pid_t other_master() const;
  // This master stops.
  void leave(Instant now);

 private:
  // A socket that both masters listen on, or whose file the other one has left to this one.
  struct Shared {
    std::weak_ptr<Listener> listener;
    SocketFile file;
  };

  std::string obstacle_now() const;  // to a request; empty: none
  void begin_if_due(Instant now, const Plan* serving);
  void begin(Instant now, const Config& config);
  void take_event(NextMaster::Event event);
  void alone_again(const std::string& why);
  void read_predecessor(Instant now);
  void promote(Instant now);
  void share(const ListenerList& listeners);
  void unshare();

  const Program program_;
  Inheritance* inheritance_;
  Site& site_;
  Observer& observer_;
  NextMaster next_;
  UpgradeChannel no_channel_;
  UpgradeChannel& predecessor_;  // of the inheritance: main reports there why the start has failed
  pid_t predecessor_pid_ = 0;
  std::vector<Shared> shared_;
  bool requested_ = false, has_logged_that_it_waits_ = false;
  std::optional<Hooks> calling_;  // whose pre_exec is running; then the new master is started
  Instant orphaned_at_ = unset, promotion_due_ = never;
  bool promoted_ = false;
  bool other_leaves_ = false, leaving_ = false;
};

}  // namespace narwhal::server
