// What a worker does until it is ready, once, in a process that ends afterwards: for --check-config.
#include <exception>
#include <string>
#include <utility>

#include "worker/crash.hpp"
#include "worker/extensions.hpp"
#include "worker/loop_calls.hpp"
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
    log_crashes("The check", generation_);
    open_numbers(scoreboard_);
    auto loaded = load_plugins(generation_, about_to_);
    if (!loaded) return Error{loaded.error()};
    Mounted native;
    for (auto& mount : *loaded) {
      if (auto done = preload_one(*mount); !done) return done;
      // The hooks of a Python worker are the application's, which a check must not run: Gunicorn imports it and no more.
      if (!mount->is_python) native.push_back(std::move(mount));
    }
    return boot(Mounts(std::move(native), config_));
  }

 private:
  Result<Done> preload_one(Mount& mount) {
    if (!mount.is_python && !config_.preload_app) return Done{};
    about_to_("preload of " + mount.source);
    return preload(mount, {-1, config_.threads, config_.workers, generation_.number});
  }

  // With one handler thread, this one.
  Result<Done> boot(const Mounts& mounts) {
    open_worker_extensions(scoreboard_, 0, never_made_);
    const BootInfo info{0, config_.threads, config_.workers, generation_.number};
    const auto enter_thread = [&mounts] { return mounts.enter_thread(Mounts::Handlers::all); };
    if (HookResult done = mounts.begin_worker(info, about_to_, enter_thread); !done) return done;
    about_to_("thread_exit");
    mounts.leave_thread(Mounts::Handlers::all);
    about_to_("worker_exit");
    mounts.end_worker();
    return Done{};
  }

  const Generation& generation_;
  const Config& config_;
  const AboutTo& about_to_;
  Scoreboard scoreboard_ = or_throw(Scoreboard::create());  // for what plugins count
  LoopCalls never_made_;
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
