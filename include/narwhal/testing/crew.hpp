// Crew: the life of one worker under test: its threads, its hooks in the server's order, its end.
// Threads    everything here is for the test's thread, which plays the event loop: it calls cancel(), drain(), stuck().
//            The worker's first thread is [boot], and with `threads: 1` the only one that runs handle().
// Errors     of the set-up: error(). A handler that never returns ends the program, because its thread cannot be joined.
#pragma once

#include <narwhal/testing/requests.hpp>
#include <narwhal/testing/set_up.hpp>

#include <deque>

namespace narwhal::testing::detail {

class Crew {
 public:
  explicit Crew(std::shared_ptr<Site> site) : site_(std::move(site)), set_up_(site_) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Returns when the worker is ready, or cannot be.
  void boot() {
    threads_.emplace_back([this] { live_first(); });
    Lock lock(mutex_);
    wait(lock, "the set-up", [this] { return booted_; });
  }
  const std::string& error() const { return error_; }

  // Returns when its handler has begun; soon, if every thread is in another handler.
  void handle(const std::shared_ptr<Exchange>& exchange) {
    bool has_thread = false;
    {
      const Lock lock(mutex_);
      all_.push_back(exchange);
      if (all_.size() > 2 * kept_ended) forget_ended();
      waiting_.push_back(exchange);
      changed_.notify_one();
      has_thread = running_ + waiting_.size() <= site_->settings.threads;
    }
    // A thread that has just answered another request may still be on its way back.
    const std::chrono::milliseconds limit = has_thread ? hang_limit(*site_) : std::chrono::milliseconds(50);
    Lock lock(exchange->mutex);
    exchange->changed.wait_for(lock, limit, [&] { return exchange->in_handler || exchange->returned; });
  }

  // [loop]
  void drain() {
    if (!error_.empty() || site_->draining.exchange(true) || site_->plugin.drain == nullptr) return;
    loop_hook(site_, "drain()", [this] { site_->plugin.drain(site_->instance); });
  }

  // Every client leaves, what is deferred has some time to end, and then the worker ends.
  void end() {
    if (threads_.empty()) return;
    const std::vector<std::shared_ptr<Exchange>> all = exchanges();
    drain();
    for (const auto& exchange : all) leave(exchange);
    for (const auto& exchange : all) await_end(exchange);
    {
      Lock lock(mutex_);
      leaving_ = true;
      changed_.notify_all();
      wait(lock, "a handler, at the end of the worker,", [this] { return running_ == 0; });
    }
    make_posted_calls(site_);  // what they use may be gone after worker_exit()
    {
      Lock lock(mutex_);
      exiting_ = true;
      changed_.notify_all();
      wait(lock, "worker_exit()", [this] { return exited_; });
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    for (const auto& exchange : all) check_after_end(*exchange);
    make_posted_calls(site_);
    const std::lock_guard lock(site_->mutex);
    site_->ended.clear();
  }

 private:
  static constexpr std::size_t kept_ended = 256;

  // ---- for the test's thread ----

  template <class Condition>
  void wait(Lock& lock, const char* what, Condition condition) {
    if (changed_.wait_for(lock, hang_limit(*site_), condition)) return;
    site_->breach(std::string("hangs: ") + what + " has not come to its end");
    for (const std::string& breach : site_->breaches.close()) {
      std::fprintf(stderr, "narwhal/testing: %s\n", breach.c_str());
    }
    std::fprintf(stderr, "narwhal/testing: the program cannot go on, because that thread cannot be ended\n");
    std::abort();
  }

  std::vector<std::shared_ptr<Exchange>> exchanges() {
    const Lock lock(mutex_);
    waiting_.clear();  // nobody waits for their answers any more
    return all_;
  }
  void forget_ended() {
    std::erase_if(all_, [](const std::shared_ptr<Exchange>& exchange) {
      const Lock lock(exchange->mutex);
      return exchange->returned && exchange->use_ended;
    });
  }

  // A deferred exchange must be ended, also when its client has gone.
  void await_end(const std::shared_ptr<Exchange>& exchange) {
    constexpr std::chrono::milliseconds limit{2000};
    Lock lock(exchange->mutex);
    if (!exchange->in_handler && !exchange->returned) return;  // it never ran
    const auto is_over = [&] { return exchange->ended && exchange->returned; };
    exchange->changed.wait_for(lock, std::min(limit, site_->settings.patience), is_over);
    if (exchange->ended || !exchange->returned) return;
    site_->breach("deferred " + exchange->name +
                  " and never ended it: call respond(), finish() or fail(), also after cancel()");
    end_use(*exchange);
  }

  // ---- for the worker's threads ----

  void live_first() {
    if (site_->settings.preload) error_ = set_up_.preload();
    const bool is_preloaded = site_->settings.preload;
    template_instance_ = site_->instance;
    const narwhal_plugin& plugin = site_->plugin;
    if (error_.empty() && is_preloaded && plugin.before_fork != nullptr)
      guarded_hook(site_, "before_fork()", [&] { plugin.before_fork(site_->instance); });
    bool is_initialised = false;
    if (error_.empty()) {
      error_ = set_up_.worker_init();
      is_initialised = error_.empty();
    }
    if (error_.empty()) start_threads();
    if (error_.empty()) error_ = set_up_.ready_check();
    announce();
    if (error_.empty()) serve();
    finish_first(is_initialised, is_preloaded);
  }

  void announce() {
    site_->is_set_up = true;
    const Lock lock(mutex_);
    booted_ = true;
    changed_.notify_all();
  }

  void start_threads() {
    if (!enter_thread()) return fail_threads();
    started_ = 1;
    for (unsigned i = 1; i < site_->settings.threads; ++i) {
      others_.emplace_back([this] { live_other(); });
      Lock lock(mutex_);
      changed_.wait(lock, [&] { return started_ > i || thread_failed_; });
      if (thread_failed_) return fail_threads();
    }
  }
  void fail_threads() { error_ = "thread_init of " + site_->source + " failed"; }

  bool enter_thread() {
    if (site_->plugin.thread_init == nullptr) return true;
    return guarded(site_, "thread_init()", NARWHAL_ERROR,
                   [this] { return site_->plugin.thread_init(site_->instance); }) == NARWHAL_OK;
  }
  void leave_thread() {
    if (site_->plugin.thread_exit == nullptr) return;
    guarded_hook(site_, "thread_exit()", [this] { site_->plugin.thread_exit(site_->instance); });
  }

  void live_other() {
    const bool is_ready = enter_thread();
    {
      const Lock lock(mutex_);
      is_ready ? ++started_ : 0;
      thread_failed_ = thread_failed_ || !is_ready;
      changed_.notify_all();
    }
    if (!is_ready) return;
    serve();
    leave_thread();
  }

  void serve() {
    Lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return leaving_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const std::shared_ptr<Exchange> exchange = std::move(waiting_.front());
      waiting_.pop_front();
      ++running_;
      lock.unlock();
      run_handler(exchange);
      lock.lock();
      --running_;
      changed_.notify_all();
    }
  }

  // The last functions that are called, in the server's order.
  void finish_first(bool is_initialised, bool is_preloaded) {
    Lock lock(mutex_);
    leaving_ = leaving_ || !error_.empty();
    changed_.notify_all();
    changed_.wait(lock, [this] { return exiting_; });
    lock.unlock();
    for (std::thread& thread : others_) thread.join();
    if (started_ != 0) leave_thread();
    const narwhal_plugin& plugin = site_->plugin;
    site_->is_exiting = true;
    if (is_initialised && plugin.worker_exit != nullptr)
      guarded_hook(site_, "worker_exit()", [&] { plugin.worker_exit(site_->instance); });
    site_->is_exiting = false;
    if (is_preloaded && is_initialised && plugin.after_fork != nullptr)
      guarded_hook(site_, "after_fork()", [&] { plugin.after_fork(template_instance_); });
    if (is_preloaded && plugin.template_exit != nullptr)
      guarded_hook(site_, "template_exit()", [&] { plugin.template_exit(template_instance_); });
    lock.lock();
    exited_ = true;
    changed_.notify_all();
  }

  const std::shared_ptr<Site> site_;
  SetUp set_up_;
  void* template_instance_ =
      nullptr;         // what preload() has left: the template's own, which worker_init() does not change
  std::string error_;  // set before booted_
  std::vector<std::thread> threads_, others_;

  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Exchange>> waiting_;
  std::vector<std::shared_ptr<Exchange>> all_;
  unsigned started_ = 0, running_ = 0;
  bool booted_ = false, thread_failed_ = false, leaving_ = false, exiting_ = false, exited_ = false;
};

}  // namespace narwhal::testing::detail
