// What Deferred::on_cancel() and on_writable() keep: a callback for each exchange that has one. They do not use the
// exchange's own pointer (set_user()), which belongs to the app.
// Ownership  the table owns a callback until it is taken, replaced or dropped; one that runs meanwhile is freed after.
// Errors     set() throws std::bad_alloc.
// Threads    any: the loop's thread takes or calls a callback while another one ends the exchange. No lock is held while a
//            callback runs.
#pragma once

#include <narwhal/callable.hpp>
#include <narwhal/log.hpp>

#include <pthread.h>

#include <cstdint>

namespace narwhal::detail {

class ExchangeCallbacks {
 public:
  // Replaces the exchange's callback.
  void set(const narwhal_exchange* exchange, Callable<void()> callback) {
    auto* entry = new Entry{exchange, std::move(callback)};
    drop(exchange);
    const Lock lock(mutex_);
    Entry*& first = bucket(exchange);
    entry->next = first;
    first = entry;
  }
  // Removes it, so that it is called at most once; empty when there is none.
  Callable<void()> take(const narwhal_exchange* exchange) noexcept {
    Entry* const entry = unlink(exchange);
    if (entry == nullptr) return {};
    Callable<void()> callback = std::move(entry->callback);
    delete entry;
    return callback;
  }
  // Calls it, if there is one, which stays. For one thread at a time. What it throws passes through.
  void call(const narwhal_exchange* exchange) {
    const Use use(*this, exchange);
    if (use.entry != nullptr) use.entry->callback();
  }
  void drop(const narwhal_exchange* exchange) noexcept { delete unlink(exchange); }

 private:
  struct Entry {
    const narwhal_exchange* exchange;
    Callable<void()> callback;
    Entry* next = nullptr;
    bool runs = false, dropped = false;
  };
  // <mutex> would double the time that a compiler needs for these headers.
  struct Lock {
    explicit Lock(pthread_mutex_t& held) noexcept : mutex(held) { ::pthread_mutex_lock(&mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { ::pthread_mutex_unlock(&mutex); }
    pthread_mutex_t& mutex;
  };
  // While it lives, its entry is not freed.
  struct Use {
    Use(ExchangeCallbacks& used, const narwhal_exchange* exchange) noexcept : table(used) {
      const Lock lock(table.mutex_);
      entry = *table.place_of(exchange);
      if (entry != nullptr) entry->runs = true;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
      if (entry == nullptr) return;
      bool was_dropped = false;
      {
        const Lock lock(table.mutex_);
        entry->runs = false;
        was_dropped = entry->dropped;
      }
      if (was_dropped) delete entry;
    }
    ExchangeCallbacks& table;
    Entry* entry = nullptr;
  };

  // Null: there is none, or it runs, and is freed by its caller.
  Entry* unlink(const narwhal_exchange* exchange) noexcept {
    const Lock lock(mutex_);
    Entry** const at = place_of(exchange);
    Entry* const found = *at;
    if (found == nullptr) return nullptr;
    *at = found->next;
    found->dropped = true;
    return found->runs ? nullptr : found;
  }
  // The pointer to its entry, or the one at the end of the list. The mutex is held.
  Entry** place_of(const narwhal_exchange* exchange) noexcept {
    Entry** at = &bucket(exchange);
    while (*at != nullptr && (*at)->exchange != exchange) at = &(*at)->next;
    return at;
  }
  Entry*& bucket(const narwhal_exchange* exchange) noexcept {
    const std::uint64_t number = std::uint64_t{reinterpret_cast<std::uintptr_t>(exchange)} * 0x9e3779b97f4a7c15;
    return buckets_[number >> (64 - buckets_bits)];
  }

  // Ten thousand event streams make lists of ten.
  static constexpr int buckets_bits = 10;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  Entry* buckets_[std::size_t{1} << buckets_bits] = {};
};

NARWHAL_OF_THIS_PLUGIN inline ExchangeCallbacks cancel_callbacks, writable_callbacks;

}  // namespace narwhal::detail
