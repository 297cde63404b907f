// wsgi.input: the request's body as a file to read. Usually the body is complete before the application is called, so
// that reading never waits for the client. Without request_buffering it is read while it arrives.
// Life     the application may keep the object; after the request it is closed, and reading raises ValueError.
#pragma once

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

enum class RequestBody { whole, arriving };

bool prepare_input_type() noexcept;  // once in a process
// A new reference; null with an exception set. `size`: in bytes, or -1 for an arriving body of unknown length.
PyObject* make_input(narwhal_exchange* exchange, std::int64_t size, RequestBody body) noexcept;
void close_input(PyObject* input) noexcept;

}  // namespace narwhal::wsgi
