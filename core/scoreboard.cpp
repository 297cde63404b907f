#include "core/scoreboard.hpp"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/escape.hpp"

namespace narwhal {
namespace {

// The text is one log line: more requests are only counted.
constexpr std::size_t shown_max = 8;
constexpr int read_attempts = 3;

// Slots start on their own pages, so that clear() can free the pages and no two workers share a cache line.
std::size_t stride() {
  static const std::size_t bytes = [] {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (sizeof(WorkerSlot) + page - 1) / page * page;
  }();
  return bytes;
}

std::size_t slots_bytes() { return stride() * Scoreboard::slots_max; }
// After the slots.
std::size_t poison_offset() { return slots_bytes(); }
std::size_t numbers_offset() { return poison_offset() + sizeof(PoisonTable); }
std::size_t gauges_offset() { return numbers_offset() + sizeof(NumberTable); }
std::size_t mapping_bytes() { return gauges_offset() + sizeof(NumberTable::Gauges) * Scoreboard::slots_max; }

static_assert(sizeof(PoisonTable) % alignof(NumberTable) == 0 &&
              sizeof(NumberTable) % alignof(NumberTable::Gauges) == 0);

static_assert(PoisonTable::method_bytes_max == sizeof Running::method);
static_assert(PoisonTable::path_bytes_max + 1 == Running::target_bytes_max);  // a path that was cut is too long

// What the worker wrote may be inconsistent or invalid: sizes are bounded before they are used. After a few attempts an
// inconsistent copy is accepted, because a worker that died while writing leaves nothing better.
RunningRequest copy_of(const Running& record) {
  RunningRequest copy;
  for (int attempt = 0; attempt < read_attempts; ++attempt) {
    const std::uint32_t before = record.sequence.load(std::memory_order_acquire);
    copy.started = record.started.load(std::memory_order_relaxed);
    copy.thread_id = record.thread_id.load(std::memory_order_relaxed);
    if (copy.started <= Running::idle) return copy;
    copy.route = record.route;
    copy.method.assign(record.method, std::min<std::size_t>(record.method_size, sizeof record.method));
    copy.target.assign(record.target, std::min<std::size_t>(record.target_size, Running::target_bytes_max));
    fence(std::memory_order_acquire);
    if (before % 2 == 0 && record.sequence.load(std::memory_order_relaxed) == before) break;
  }
  return copy;
}

std::string text_of(const RunningRequest& request, Instant now, std::span<const Route> routes) {
  std::string text;
  append_escaped(text, request.method);
  text += ' ';
  append_escaped(text, request.target);
  if (request.target.size() == Running::target_bytes_max) text += "...";
  const bool is_known = request.route < routes.size();
  const std::string route = is_known ? routes[request.route].name() : fmt::format("#{}", request.route);
  const auto age = std::max(now - request.started, std::chrono::nanoseconds::zero());
  return text + fmt::format(" (route {}, {}{:.1f} s)", route, request.is_deferred ? "deferred, " : "", seconds_of(age));
}

// Oldest first.
std::vector<RunningRequest> requests_of(std::span<const Running> records) {
  std::vector<RunningRequest> requests;
  for (const Running& record : records) {
    RunningRequest copy = copy_of(record);
    if (copy.started > Running::idle) requests.push_back(std::move(copy));
  }
  std::stable_sort(requests.begin(), requests.end(),
                   [](const RunningRequest& a, const RunningRequest& b) { return a.started < b.started; });
  return requests;
}

}  // namespace

Result<Scoreboard> Scoreboard::create() {
  // Zero pages are valid slots: constructing them would commit 70 MB that are not used.
  Fd memory(::memfd_create("narwhal-scoreboard", MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(mapping_bytes())) != 0)
    return errno_error("create the scoreboard");
  return attach(std::move(memory));
}

Result<Scoreboard> Scoreboard::attach(Fd descriptor) {
  void* const memory =
      ::mmap(nullptr, mapping_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor.get(), 0);
  if (memory == MAP_FAILED) return errno_error("map the scoreboard");
  return Scoreboard(std::move(descriptor), static_cast<WorkerSlot*>(memory));
}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : descriptor_(std::move(other.descriptor_)), slots_(std::exchange(other.slots_, nullptr)) {}

Scoreboard::~Scoreboard() {
  if (slots_ != nullptr) ::munmap(slots_, mapping_bytes());
}

WorkerSlot& Scoreboard::slot(std::size_t index) noexcept {
  NARWHAL_CHECK(index < slots_max);
  return *reinterpret_cast<WorkerSlot*>(reinterpret_cast<char*>(slots_) + index * stride());
}

const WorkerSlot& Scoreboard::slot(std::size_t index) const noexcept {
  return const_cast<Scoreboard*>(this)->slot(index);
}

PoisonTable& Scoreboard::poison() noexcept {
  return *reinterpret_cast<PoisonTable*>(reinterpret_cast<char*>(slots_) + poison_offset());
}

NumberTable& Scoreboard::numbers() noexcept {
  return *reinterpret_cast<NumberTable*>(reinterpret_cast<char*>(slots_) + numbers_offset());
}
const NumberTable& Scoreboard::numbers() const noexcept { return const_cast<Scoreboard*>(this)->numbers(); }

NumberTable::Gauges& Scoreboard::gauges(std::size_t index) noexcept {
  NARWHAL_CHECK(index < slots_max);
  return reinterpret_cast<NumberTable::Gauges*>(reinterpret_cast<char*>(slots_) + gauges_offset())[index];
}
const NumberTable::Gauges& Scoreboard::gauges(std::size_t index) const noexcept {
  return const_cast<Scoreboard*>(this)->gauges(index);
}

void Scoreboard::clear(std::size_t index) noexcept {
  WorkerSlot& cleared = slot(index);
  // MADV_REMOVE zeroes and frees the pages; if it is refused, write zeros.
  if (::madvise(&cleared, stride(), MADV_REMOVE) != 0) std::memset(static_cast<void*>(&cleared), 0, sizeof cleared);
  if (numbers().gauges_used.load(std::memory_order_relaxed) == 0) return;  // to read them would commit their memory
  for (std::atomic<double>& value : gauges(index).values) value.store(0, std::memory_order_relaxed);
}

std::vector<Scoreboard::Suspect> Scoreboard::suspects(std::size_t index, std::span<const Route> routes) const {
  const std::uint32_t culprit = slot(index).crashed_thread.load(std::memory_order_relaxed);
  std::vector<Suspect> found;
  for (const Running& record : slot(index).running) {
    const RunningRequest copy = copy_of(record);
    if (copy.started <= Running::idle || (culprit != 0 && copy.thread_id != culprit)) continue;
    const std::string_view host = copy.route < routes.size() ? first_host(routes[copy.route].hosts) : "";
    std::string text = PoisonTable::text_of(copy.method, copy.target, host);
    if (!text.empty()) found.push_back({std::move(text), copy.route, copy.started});
  }
  return found;
}

std::vector<RunningRequest> Scoreboard::running(std::size_t index, std::size_t threads) const {
  return requests_of(std::span(slot(index).running).first(std::min(threads, WorkerSlot::threads_max)));
}

std::string Scoreboard::running_text(std::size_t index, Instant now, std::span<const Route> routes) const {
  std::vector<RunningRequest> requests = running(index);
  std::vector<RunningRequest> deferred = requests_of(slot(index).deferred);
  for (RunningRequest& request : deferred) request.is_deferred = true;
  const std::size_t deferred_count = slot(index).deferred_count.load(std::memory_order_relaxed);
  const std::size_t count = requests.size() + std::max(deferred.size(), deferred_count);
  std::move(deferred.begin(), deferred.end(), std::back_inserter(requests));
  std::string text;
  const std::size_t shown = std::min(requests.size(), shown_max);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += "; ";
    text += text_of(requests[i], now, routes);
  }
  if (shown > 0 && count > shown) text += fmt::format("; and {} more", count - shown);
  return text;
}

}  // namespace narwhal
