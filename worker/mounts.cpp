#include "worker/mounts.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "worker/hang.hpp"
#include "worker/path_match.hpp"

namespace narwhal::worker {

Mounts::Mounts(std::vector<std::unique_ptr<Mount>> mounts, const Config& config) : mounts_(std::move(mounts)) {
  std::stable_sort(mounts_.begin(), mounts_.end(),
                   [](const auto& left, const auto& right) { return left->prefix.size() > right->prefix.size(); });
  const bool have_hosts =
      std::any_of(mounts_.begin(), mounts_.end(), [](const auto& mount) { return !mount->hosts.empty(); });
  if (have_hosts) sites_ = std::make_unique<Sites>(mounts_);
  for (const auto& mount : mounts_) {
    const Route route = mount->route < config.routes.size() ? config.routes[mount->route] : Route{};
    mount->timeout = route.timeout.value_or(config.timeout);
    mount->soft_timeout = route.soft_timeout.value_or(config.soft_timeout);
  }
}

std::chrono::milliseconds Mounts::inline_patience() const {
  std::chrono::nanoseconds shortest = std::chrono::hours(24);
  for (const auto& mount : mounts_) {
    if (mount->is_inline() && mount->timeout.count() != 0) shortest = std::min(shortest, mount->timeout);
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(shortest);
}

Mount* Mounts::route(std::string_view authority, std::string_view path) const noexcept {
  if (sites_ != nullptr) [[unlikely]]
    return sites_->route(authority, path);
  for (const auto& mount : mounts_) {
    if (is_below(path, mount->prefix)) return mount.get();
  }
  return nullptr;
}

HookResult Mounts::begin_worker(const BootInfo& info, const AboutTo& about_to,
                                const std::function<bool()>& start_threads) const {
  for (const auto& mount : mounts_) {
    about_to("worker_init of " + mount->source);
    if (HookResult done = worker_init(*mount, info); !done) return done;
  }
  about_to("thread_init");
  if (!start_threads()) return Error{"a handler thread could not be set up"};
  for (const auto& mount : mounts_) {
    about_to("ready_check of " + mount->source);
    if (HookResult done = ready_check(*mount, info); !done) return done;
  }
  return Done{};
}

bool Mounts::enter_thread(Handlers handlers) const {
  for (const auto& mount : mounts_) {
    if (handlers == Handlers::inline_only && !mount->is_inline()) continue;
    if (mount->plugin.thread_init != nullptr && mount->plugin.thread_init(mount->instance) != NARWHAL_OK) {
      log::error("thread_init of {} failed", mount->source);
      return false;
    }
  }
  return true;
}

void Mounts::leave_thread(Handlers handlers) const {
  for (const auto& mount : mounts_) {
    if (handlers == Handlers::inline_only && !mount->is_inline()) continue;
    if (mount->plugin.thread_exit != nullptr) mount->plugin.thread_exit(mount->instance);
  }
}

void Mounts::drain() const {
  for (const auto& mount : mounts_) {
    if (mount->plugin.drain == nullptr) continue;
    const HookCall call("drain()", *mount);
    mount->plugin.drain(mount->instance);
  }
}

void Mounts::end_worker() const {
  for (const auto& mount : mounts_) {
    if (mount->plugin.worker_exit == nullptr) continue;
    const HookCall call("worker_exit()", *mount);
    mount->plugin.worker_exit(mount->instance);
  }
}

}  // namespace narwhal::worker
