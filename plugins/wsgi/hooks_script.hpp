// The Python side of the hooks: what `server`, `worker`, `req` and `resp` are to a gunicorn.conf.py; see hooks.hpp.
#pragma once

namespace narwhal::wsgi {

// Defines Hooks(location, write, age, workers, threads), Request and Response. write(level, line, text) is the log.
extern const char* const hooks_script;

}  // namespace narwhal::wsgi
