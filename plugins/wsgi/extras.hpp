// The smaller objects of an environ: wsgi.errors, wsgi.early_hints. One of each serves all requests.
#pragma once

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

bool prepare_extra_types() noexcept;  // once in a process

// wsgi.errors: what is written to it goes to the server's error log unchanged. Returns a new reference.
PyObject* make_errors() noexcept;
// A function write(level, line, text): a line of the error log, with a text of several lines below it or "".
PyObject* make_log_writer() noexcept;
// wsgi.early_hints(headers): sends 103 with them, for the request that the calling thread handles.
PyObject* make_early_hints() noexcept;

// The request that this thread handles, for early hints; null: none.
void set_current_exchange(narwhal_exchange* exchange) noexcept;

}  // namespace narwhal::wsgi
