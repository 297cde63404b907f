#include "core/poison_table.hpp"

#include <algorithm>

namespace narwhal {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool is_text_of(std::string_view text, std::string_view method, std::string_view host, std::string_view path) {
  return text.size() == method.size() + 1 + host.size() + path.size() && text.starts_with(method) &&
         text[method.size()] == ' ' && text.substr(method.size() + 1).starts_with(host) && text.ends_with(path);
}

bool take(std::atomic<std::uint32_t>& count) {
  std::uint32_t left = count.load(relaxed);
  while (left != 0 && !count.compare_exchange_weak(left, left - 1, relaxed)) {
  }
  return left != 0;
}

}  // namespace

bool PoisonTable::refuses_listed(std::string_view method, std::string_view host, std::string_view target,
                                 Instant now) noexcept {
  const std::string_view path = path_of(target);
  for (Entry& entry : entries) {
    const std::size_t size = std::min<std::size_t>(entry.size.load(std::memory_order_acquire), sizeof entry.text);
    if (size == 0 || !is_text_of({entry.text, size}, method, host, path)) continue;
    if (take(entry.trials)) return false;
    entry.refused.fetch_add(1, relaxed);
    entry.last_refused.store(now, relaxed);
    refused.fetch_add(1, relaxed);
    return true;
  }
  return false;
}

PoisonTable::Entry* PoisonTable::enter(std::string_view text) noexcept {
  for (Entry& entry : entries) {
    if (entry.size.load(relaxed) != 0) continue;
    entry.trials.store(0, relaxed);
    entry.refused.store(0, relaxed);
    entry.last_refused.store(unset, relaxed);
    const std::size_t size = text.copy(entry.text, sizeof entry.text);
    entry.size.store(static_cast<std::uint32_t>(size), std::memory_order_release);
    used.fetch_add(1, relaxed);
    begun.fetch_add(1, relaxed);
    return &entry;
  }
  return nullptr;
}

void PoisonTable::remove(Entry& entry) noexcept {
  entry.size.store(0, relaxed);
  used.fetch_sub(1, relaxed);
}

std::string PoisonTable::text_of(std::string_view method, std::string_view target, std::string_view host) {
  const std::string_view path = path_of(target);
  if (method.empty() || method.size() >= method_bytes_max || host.size() + path.size() > path_bytes_max) return "";
  return std::string(method) + " " + std::string(host) + std::string(path);
}

}  // namespace narwhal
