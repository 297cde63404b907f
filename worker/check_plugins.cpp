// What a worker does until it is ready, once, in a process that ends afterwards: for --check-config.
#include <exception>
#include <string>
#include <utility>

#include "worker/mounts.hpp"
#include "worker/worker.hpp"

namespace narwhal::worker {

namespace {

using Mounted = std::vector<std::unique_ptr<Mount>>;

class Check {
 public:
  Check(const Generation& generation, const AboutTo& about_to)
      : generation_(generation), config_(generation.config), about_to_(about_to) {}

  Result<Done> run() {
    auto loaded = load_plugins(generation_, about_to_);
    if (!loaded) return Error{loaded.error()};
    Mounted native;
    for (auto& mount : *loaded) {
      if (auto done = preload_one(*mount); !done) return done;
      // The hooks of a Python worker are the application's, which a check must not run: Gunicorn imports it and no more.
      if (!is_python(*mount)) native.push_back(std::move(mount));
    }
    return boot(Mounts(std::move(native), config_));
  }

 private:
  bool is_python(const Mount& mount) const { return !config_.routes[mount.route].plugin.empty(); }

  Result<Done> preload_one(Mount& mount) {
    if (!is_python(mount) && !config_.preload_app) return Done{};
    about_to_("preload of " + mount.source);
    return preload(mount, {-1, config_.threads, config_.workers, generation_.number});
  }

  // In the order of run_worker.cpp.
  Result<Done> boot(const Mounts& mounts) {
    const BootInfo info{0, config_.threads, config_.workers, generation_.number};
    for (const auto& mount : mounts) {
      about_to_("worker_init of " + mount->source);
      if (auto done = worker_init(*mount, info); !done) return done;
    }
    about_to_("thread_init");
    if (!mounts.enter_thread(Mounts::Handlers::all)) return Error{"thread_init failed: the log says of which plugin"};
    for (const auto& mount : mounts) {
      about_to_("ready_check of " + mount->source);
      if (auto done = ready_check(*mount, info); !done) return done;
    }
    about_to_("thread_exit");
    mounts.leave_thread(Mounts::Handlers::all);
    about_to_("worker_exit");
    mounts.end_worker();
    return Done{};
  }

  const Generation& generation_;
  const Config& config_;
  const AboutTo& about_to_;
};

}  // namespace

Result<Done> check_plugins(const Generation& generation, const AboutTo& about_to) {
  std::string step;
  const AboutTo note_step = [&](std::string_view next) {
    step = next;
    about_to(next);
  };
  try {
    return Check(generation, note_step).run();
  } catch (const std::exception& error) {  // the ABI forbids it
    return Error{step + ": it has thrown an exception: " + error.what()};
  }
}

}  // namespace narwhal::worker
