// ExchangePool: the exchanges of this worker. There are as many as were ever in use at once; they are used again.
// Ownership  take() lends one until it comes to give_back().
// Errors     take() throws std::bad_alloc; giving back cannot fail.
// Threads    the holder of the baton.
#pragma once

#include <memory>
#include <vector>

#include "worker/deferred_records.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

class BufferPool;

class ExchangePool {
 public:
  ExchangePool(Loop& loop, BufferPool& buffers, WorkerSlot& slot) noexcept
      : loop_(loop), buffers_(buffers), deferred_records_(slot) {}
  ExchangePool(const ExchangePool&) = delete;
  ExchangePool& operator=(const ExchangePool&) = delete;

  Exchange& take(Connection& connection);
  void defer(
      Exchange& exchange) noexcept;  // its handler has deferred it: it is on the scoreboard until it is given back
  // Nobody will use it any more, except that Posts may still hold it: then it is given back again when it is taken from there.
  void give_back(Exchange& exchange) noexcept;

  // All, those in use and those that are not.
  auto begin() const noexcept { return all_.begin(); }
  auto end() const noexcept { return all_.end(); }

 private:
  Loop& loop_;
  BufferPool& buffers_;
  DeferredRecords deferred_records_;
  std::vector<std::unique_ptr<Exchange>> all_;
  Exchange* spare_ = nullptr;  // linked by `next`
};

}  // namespace narwhal::worker
