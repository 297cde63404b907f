// logging.getLogger("gunicorn.error"): applications use its handlers and its level for their own loggers.
#pragma once

#include <string>

namespace narwhal::wsgi {

// With the GIL, before the application is imported. No effect when it has handlers already. False: an exception is set.
bool prepare_loggers(const std::string& level) noexcept;
// In place of it where a process writes the logs: `settings` is JSON, see python/process_loggers.py. Applies logconfig and
// its kin.
bool configure_loggers(const std::string& level, const std::string& settings) noexcept;

}  // namespace narwhal::wsgi
