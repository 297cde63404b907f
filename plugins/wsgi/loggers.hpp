// logging.getLogger("gunicorn.error"): applications use its handlers and its level for their own loggers.
#pragma once

#include <string>

namespace narwhal::wsgi {

// With the GIL, before the application is imported. No effect when it has handlers already. False: an exception is set.
bool prepare_loggers(const std::string& level) noexcept;

}  // namespace narwhal::wsgi
