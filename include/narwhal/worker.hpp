// The worker that runs the app, and the server around it.
// Errors     nothing happens where the server's table ends before a function; watch_file() says so.
// Threads    any, from the app's set-up on.
#pragma once

#include <narwhal/log.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace narwhal {

// Says that the app was made from this file, too: under the setting `reload`, a change to it reloads the server. Name it
// before the set-up fails, so that the server tries again when it is fixed. False when nothing is watched. Throws
// std::invalid_argument for what is not an absolute path of at most 491 bytes.
inline bool watch_file(std::string_view path) {
  if (detail::the_host == nullptr || !NARWHAL_HAS(detail::the_host, narwhal_host, watch)) return false;
  const int code = detail::the_host->watch(bytes_of(path));
  if (code == NARWHAL_REFUSED) {
    throw std::invalid_argument("watch_file '" + std::string(path) + "': an absolute path of at most 491 bytes");
  }
  return code == NARWHAL_OK;
}

// Asks the server for a new worker in place of this one, which serves until that one is ready.
inline void replace_worker() noexcept {
  if (detail::the_host != nullptr && NARWHAL_HAS(detail::the_host, narwhal_host, replace_worker)) {
    detail::the_host->replace_worker();
  }
}

// In the app's destructor: whether the worker had to leave at once (INT, QUIT) and not after its requests.
inline bool left_at_once() noexcept {
  return detail::the_host != nullptr && NARWHAL_HAS(detail::the_host, narwhal_host, left_at_once) &&
         detail::the_host->left_at_once() != 0;
}

// One line, and directly after it a text of several lines as it is: a stack, a query's plan.
inline void log_text(int level, std::string_view line, std::string_view text) noexcept {
  if (detail::the_host != nullptr && NARWHAL_HAS(detail::the_host, narwhal_host, log_text)) {
    detail::the_host->log_text(level, bytes_of(line), bytes_of(text));
  }
}

}  // namespace narwhal
