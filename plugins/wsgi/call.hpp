// One call of the application: from the server's request to the end of its response.
#pragma once

#include "plugins/wsgi/environ.hpp"
#include "plugins/wsgi/input.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

bool prepare_call_types() noexcept;  // once in a process

// On a handler's thread, with the GIL. Returns what handle() is to return; no exception is left set.
int call_application(PyObject* application, const Environ& environ, RequestBody body,
                     narwhal_exchange* exchange) noexcept;

// Frees what this thread kept for its next call: there will be none.
void forget_thread() noexcept;

}  // namespace narwhal::wsgi
