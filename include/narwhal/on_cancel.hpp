// What Deferred::on_cancel() keeps: a callback for each exchange that has one. It does not use the exchange's own
// pointer (set_user()), which belongs to the app.
// Ownership  the table owns a callback until it is taken or replaced.
// Errors     set() throws std::bad_alloc.
// Threads    any: the loop's thread takes a callback while another one ends the exchange. No lock is held while a
//            callback runs.
#pragma once

#include <narwhal/callable.hpp>
#include <narwhal/log.hpp>

#include <pthread.h>

#include <cstdint>

namespace narwhal::detail {

class CancelCallbacks {
 public:
  // Replaces the exchange's callback.
  void set(const narwhal_exchange* exchange, Callable<void()> callback) {
    auto* entry = new Entry{exchange, std::move(callback), nullptr};
    const Callable<void()> replaced = take(exchange);
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

 private:
  struct Entry {
    const narwhal_exchange* exchange;
    Callable<void()> callback;
    Entry* next;
  };
  // <mutex> would double the time that a compiler needs for these headers.
  struct Lock {
    explicit Lock(pthread_mutex_t& held) noexcept : mutex(held) { ::pthread_mutex_lock(&mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { ::pthread_mutex_unlock(&mutex); }
    pthread_mutex_t& mutex;
  };

  Entry* unlink(const narwhal_exchange* exchange) noexcept {
    const Lock lock(mutex_);
    for (Entry** at = &bucket(exchange); *at != nullptr; at = &(*at)->next) {
      if ((*at)->exchange != exchange) continue;
      Entry* const found = *at;
      *at = found->next;
      return found;
    }
    return nullptr;
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

NARWHAL_OF_THIS_PLUGIN inline CancelCallbacks cancel_callbacks;

}  // namespace narwhal::detail
