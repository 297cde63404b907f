// Plan: what one generation is made of. Its parts are shared, so that the draining generation, the serving one and the
// one that a rollback would restore can hold the same listeners. The private copies of its plugins stay in the server's
// StageArea as long as any plan names them.
#pragma once

#include <functional>
#include <memory>

#include "core/privileges.hpp"
#include "core/seat.hpp"
#include "server/hooks.hpp"
#include "server/sockets/listeners.hpp"

namespace narwhal::server {

struct Plan {
  std::shared_ptr<const Generation> generation;
  ListenerList listeners;
  Identity identity;  // of template and workers
  Hooks hooks{};

  std::uint64_t number() const { return generation->number; }
  const Config& config() const { return generation->config; }
};

// What runs in the template process; its result is the exit status. main passes worker::run_template.
using TemplateBody = std::function<int(TemplateSeat)>;

}  // namespace narwhal::server
