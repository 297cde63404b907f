// wsgi.input: the request's body as a file to read. The body is complete before the application is called, so that
// reading never waits for the client.
// Life     the application may keep the object; once the request is over it is closed, and reading raises ValueError.
#pragma once

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

bool prepare_input_type() noexcept;  // once in a process
// A new reference; null with an exception set.
PyObject* make_input(narwhal_exchange* exchange, std::int64_t size) noexcept;
void close_input(PyObject* input) noexcept;

}  // namespace narwhal::wsgi
