// Loads the application that `module:attribute` names.
#pragma once

#include <string>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

struct Loaded {
  Ref application;      // null: loading failed
  std::string reason;   // why, in one line; Python's own traceback is in the log already
  bool was_imported{};  // the module was imported, but has no such application
};

// `name` is "module", "module:attribute" or "module:factory(1, key='x')" with literal arguments, as in Gunicorn. With
// the GIL.
Loaded load_application(const std::string& name);

// Names to the server the files of modules that were imported since the last call, for the setting `reload`. With the
// GIL; cheap when nothing was imported. Does nothing after the server has answered that the setting is off.
void watch_modules() noexcept;

}  // namespace narwhal::wsgi
