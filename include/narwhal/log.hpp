// Lines in the server's error log, from anywhere in a plugin and from any thread. Control bytes are escaped.
#pragma once

#include <narwhal/text.hpp>

#include <string_view>

// Of this plugin alone: without it, the linker would share a variable of this name among all plugins of a process.
#define NARWHAL_OF_THIS_PLUGIN __attribute__((visibility("hidden")))

namespace narwhal {

namespace detail {
NARWHAL_OF_THIS_PLUGIN inline const narwhal_host* host = nullptr;  // set before any other code of the app runs
}

inline void log_at(int level, std::string_view text) noexcept {
  if (detail::host != nullptr) detail::host->log(level, bytes_of(text));
}
inline void log_debug(std::string_view text) noexcept { log_at(NARWHAL_LOG_DEBUG, text); }
inline void log_info(std::string_view text) noexcept { log_at(NARWHAL_LOG_INFO, text); }
inline void log_warning(std::string_view text) noexcept { log_at(NARWHAL_LOG_WARNING, text); }
inline void log_error(std::string_view text) noexcept { log_at(NARWHAL_LOG_ERROR, text); }
inline void log_critical(std::string_view text) noexcept { log_at(NARWHAL_LOG_CRITICAL, text); }

}  // namespace narwhal
