#include "worker/deferred_records.hpp"

#include <bit>
#include <utility>

#include "worker/exchange.hpp"

namespace narwhal::worker {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

static_assert(WorkerSlot::deferred_max == 64);  // the bits of used_

}  // namespace

void DeferredRecords::begin(Exchange& exchange) noexcept {
  slot_.deferred_count.store(slot_.deferred_count.load(relaxed) + 1, relaxed);  // this is the only writer
  const int place = std::countr_one(used_);
  exchange.deferred_record = only_counted;
  if (place == WorkerSlot::deferred_max) return;
  used_ |= std::uint64_t{1} << place;
  slot_.deferred[place].begin(exchange.head.method, exchange.head.target, exchange.mount->route, exchange.times.called);
  exchange.deferred_record = static_cast<std::uint8_t>(place + 1);
}

void DeferredRecords::end(Exchange& exchange) noexcept {
  slot_.deferred_count.store(slot_.deferred_count.load(relaxed) - 1, relaxed);
  const std::uint8_t record = std::exchange(exchange.deferred_record, 0);
  if (record == only_counted) return;
  slot_.deferred[record - 1].end();
  used_ &= ~(std::uint64_t{1} << (record - 1));
}

}  // namespace narwhal::worker
