// The smaller objects of an environ: wsgi.errors, wsgi.file_wrapper, wsgi.early_hints. One of each serves all requests.
#pragma once

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

bool prepare_extra_types() noexcept;  // once in a process

// wsgi.errors: what is written goes into the server's error log as it is. New references.
PyObject* make_errors() noexcept;
// wsgi.early_hints(headers): 103 with them, for the request that the calling thread is at.
PyObject* make_early_hints() noexcept;

// wsgi.file_wrapper(file, block_size=8192): the type, borrowed.
PyObject* file_wrapper_type() noexcept;
// The file-like object inside, borrowed, when `object` is exactly a file_wrapper and nobody has iterated it yet; or null.
PyObject* wrapped_file(PyObject* object) noexcept;

// The request that this thread is at, for early hints; null: none.
void set_current_exchange(narwhal_exchange* exchange) noexcept;

}  // namespace narwhal::wsgi
