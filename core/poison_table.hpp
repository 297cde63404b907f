// PoisonTable: requests that every worker answers with 503, because workers have died while they ran them. Part of the
// scoreboard's mapping.
// Ownership  the master enters and removes; workers take a trial, and count what they refuse.
// Threads    any. An entry that is removed while a worker reads it may cost one request more or less.
// Trust      as the scoreboard: a worker may have overwritten it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.hpp"

namespace narwhal {

struct PoisonTable {
  static constexpr std::size_t entries_max = 16;
  static constexpr std::size_t method_bytes_max = 22, path_bytes_max = 199;

  struct Entry {
    std::atomic<std::uint32_t> size{0};     // of the text; 0: not in use
    std::atomic<std::uint32_t> trials{0};   // requests that may pass
    std::atomic<std::uint64_t> refused{0};  // since it was entered
    std::atomic<Instant> last_refused{unset};
    char text[method_bytes_max + 1 + path_bytes_max];  // "GET /path", "GET shop.example/path"
  };

  // ---- a worker's ----
  // Whether this request is refused; it is counted then. Where the table is empty: one relaxed load. `host`: first_host()
  // of its route.
  bool refuses(std::string_view method, std::string_view target, Instant now, std::string_view host = "") noexcept {
    return used.load(std::memory_order_relaxed) != 0 && refuses_listed(method, host, target, now);
  }

  // ---- the master's ----
  Entry* enter(std::string_view text) noexcept;  // null: it is full
  void remove(Entry& entry) noexcept;

  // A request's text in the table: method, host and path without query. Empty: too long to be known as a whole.
  static std::string text_of(std::string_view method, std::string_view target, std::string_view host = "");

  std::atomic<std::uint32_t> used{0};     // entries
  std::atomic<std::uint64_t> begun{0};    // entries so far
  std::atomic<std::uint64_t> refused{0};  // requests so far
  Entry entries[entries_max];

 private:
  bool refuses_listed(std::string_view method, std::string_view host, std::string_view target, Instant now) noexcept;
};

}  // namespace narwhal
