// Lines in the server's error log. With a request, the line begins with its method and path: "GET /x: no such user".
// Ownership  the text is copied. Control bytes in it are escaped.
// Errors     none. Before the app's set-up begins (in a constructor of a static object), a line is dropped.
// Threads    any.
#pragma once

#include <narwhal/request.hpp>

#include <exception>
#include <string>
#include <string_view>

// For variables of one plugin: without it, the linker would share an inline variable among all plugins of a process.
#define NARWHAL_OF_THIS_PLUGIN __attribute__((visibility("hidden")))

namespace narwhal {

namespace detail {

NARWHAL_OF_THIS_PLUGIN inline const narwhal_host* the_host = nullptr;  // set before the app is made

// The text of the exception that is being handled; only to be called inside a catch block.
[[gnu::cold]] inline std::string reason_now() noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

}  // namespace detail

// `level` is one of NARWHAL_LOG_DEBUG to NARWHAL_LOG_CRITICAL.
inline void log_at(int level, std::string_view text) noexcept {
  if (detail::the_host != nullptr) detail::the_host->log(level, bytes_of(text));
}
inline void log_debug(std::string_view text) noexcept { log_at(NARWHAL_LOG_DEBUG, text); }
inline void log_info(std::string_view text) noexcept { log_at(NARWHAL_LOG_INFO, text); }
inline void log_warning(std::string_view text) noexcept { log_at(NARWHAL_LOG_WARNING, text); }
inline void log_error(std::string_view text) noexcept { log_at(NARWHAL_LOG_ERROR, text); }
inline void log_critical(std::string_view text) noexcept { log_at(NARWHAL_LOG_CRITICAL, text); }

// What names a request in the log. A path is cut after 200 bytes.
inline std::string name_of(const Request& request) {
  constexpr std::size_t path_max = 200;
  const std::string_view path = request.full_path();
  std::string name(request.method());
  name.append(" ").append(path.substr(0, path_max)).append(path.size() > path_max ? "..." : "");
  return name;
}
// Out of memory, the line has the text alone.
inline void log_at(int level, const Request& request, std::string_view text) noexcept try {
  log_at(level, name_of(request).append(": ").append(text));
} catch (...) {
  log_at(level, text);
}
inline void log_debug(const Request& request, std::string_view text) noexcept {
  log_at(NARWHAL_LOG_DEBUG, request, text);
}
inline void log_info(const Request& request, std::string_view text) noexcept {
  log_at(NARWHAL_LOG_INFO, request, text);
}
inline void log_warning(const Request& request, std::string_view text) noexcept {
  log_at(NARWHAL_LOG_WARNING, request, text);
}
inline void log_error(const Request& request, std::string_view text) noexcept {
  log_at(NARWHAL_LOG_ERROR, request, text);
}
inline void log_critical(const Request& request, std::string_view text) noexcept {
  log_at(NARWHAL_LOG_CRITICAL, request, text);
}

}  // namespace narwhal
