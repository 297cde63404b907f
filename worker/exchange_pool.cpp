#include "worker/exchange_pool.hpp"

#include <utility>

#include "worker/buffers.hpp"

namespace narwhal::worker {

Exchange& ExchangePool::take(Connection& connection) {
  Exchange* exchange = spare_;
  if (exchange == nullptr) {
    all_.push_back(std::make_unique<Exchange>(loop_));
    exchange = all_.back().get();
  } else {
    spare_ = exchange->next;
  }
  exchange->next = nullptr;
  exchange->connection = &connection;
  return *exchange;
}

void ExchangePool::defer(Exchange& exchange) noexcept {
  exchange.deferred = true;
  deferred_records_.begin(exchange);
}

void ExchangePool::give_back(Exchange& exchange) noexcept {
  exchange.retired = true;
  if (exchange.posted.load(std::memory_order_acquire)) return;
  if (exchange.in != nullptr) buffers_.drop(std::exchange(exchange.in, nullptr));
  if (exchange.response.bytes().has_buffer()) buffers_.drop(exchange.response.bytes().take_buffer());
  if (exchange.deferred) deferred_records_.end(exchange);
  exchange.reset();
  exchange.next = std::exchange(spare_, &exchange);
}

}  // namespace narwhal::worker
