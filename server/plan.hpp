// Plan: what one generation is made of. A value that is shared, so that a generation that drains, the one that
// serves and the one a rollback would return to can hold the same listeners and the same staged copies.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/privileges.hpp"
#include "core/seat.hpp"
#include "server/listeners.hpp"

namespace narwhal::server {

struct Plan {
  std::shared_ptr<const Generation> generation;
  ListenerList listeners;
  std::shared_ptr<const void> staged;  // its end removes the private copies
  Identity identity;                   // of template and workers

  std::uint64_t number() const { return generation->number; }
  const Config& config() const { return generation->config; }
};

// What runs in the template process; its result is the exit status. main introduces worker::run_template here.
using TemplateBody = std::function<int(TemplateSeat)>;

// What the process titles call the application: proc_name, else the first app's file name.
std::string app_title(const Config& config);

}  // namespace narwhal::server
