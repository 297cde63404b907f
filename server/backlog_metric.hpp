// The metric gunicorn.backlog: how many connections wait in the backlogs of the TCP sockets, once a second.
#pragma once

#include "core/clock.hpp"
#include "server/sockets/listeners.hpp"

namespace narwhal::server {

class BacklogMetric {
 public:
  Instant deadline() const { return due_; }
  // Of the generation that serves.
  void settle(const Config& config, const ListenerList& listeners, Instant now);

 private:
  Instant due_ = never;
};

}  // namespace narwhal::server
