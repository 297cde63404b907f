// The application: what `module:attribute` names.
#pragma once

#include <string>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

struct Loaded {
  Ref application;      // null: it failed
  std::string reason;   // then: one line; Python's own traceback is in the log already
  bool was_imported{};  // then: the module was there, and no application in it
};

// `name` is "module", "module:attribute" or "module:factory(1, key='x')", the arguments literals, as Gunicorn has it.
// Called with the GIL.
Loaded load_application(const std::string& name);

// Files of the modules that are loaded: the server is told those it has not heard of. With the GIL; cheap when
// nothing was imported since. Does nothing once the server has said that it does not watch.
void watch_modules() noexcept;

}  // namespace narwhal::wsgi
