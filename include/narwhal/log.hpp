// Lines in the server's error log.
// Ownership  the text is copied. Control bytes in it are escaped.
// Errors     none. Before the app's set-up begins (in a constructor of a static object), a line is dropped.
// Threads    any.
#pragma once

#include <narwhal/text.hpp>

#include <string_view>

// For variables of one plugin: without it, the linker would share an inline variable among all plugins of a process.
#define NARWHAL_OF_THIS_PLUGIN __attribute__((visibility("hidden")))

namespace narwhal {

namespace detail {
NARWHAL_OF_THIS_PLUGIN inline const narwhal_host* host = nullptr;  // set before the app is made
}

// `level` is one of NARWHAL_LOG_DEBUG to NARWHAL_LOG_CRITICAL.
inline void log_at(int level, std::string_view text) noexcept {
  if (detail::host != nullptr) detail::host->log(level, bytes_of(text));
}
inline void log_debug(std::string_view text) noexcept { log_at(NARWHAL_LOG_DEBUG, text); }
inline void log_info(std::string_view text) noexcept { log_at(NARWHAL_LOG_INFO, text); }
inline void log_warning(std::string_view text) noexcept { log_at(NARWHAL_LOG_WARNING, text); }
inline void log_error(std::string_view text) noexcept { log_at(NARWHAL_LOG_ERROR, text); }
inline void log_critical(std::string_view text) noexcept { log_at(NARWHAL_LOG_CRITICAL, text); }

}  // namespace narwhal
