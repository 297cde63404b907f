// What the access log shows for %({name}e)s: values of the application's environ.
// Threads  the handler's, with the GIL.
#pragma once

#include <string_view>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// Once, before the first request. Separated by commas; without names log_environ() does nothing.
void set_logged_names(std::string_view names);
// Gives the host the values that these names have now. A value that cannot be made a text is left out.
void log_environ(PyObject* environ, narwhal_exchange* exchange) noexcept;

}  // namespace narwhal::wsgi
