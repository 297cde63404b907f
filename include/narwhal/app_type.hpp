// App: any callable from a request to a response, of one type. Middleware: a function from app to app.
// Ownership  copies share the callable, which may therefore be move-only. It is freed with the last copy.
// Errors     what the callable throws passes through. Calling an empty App is undefined.
// Threads    App: any. The callable: with `threads` above 1 it is called from several threads at once.
#pragma once

#include <narwhal/response.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace narwhal {

namespace detail {

template <class Signature>
class SharedCallable;

template <class Result, class... Args>
class SharedCallable<Result(Args...)> {
 public:
  SharedCallable() noexcept = default;
  template <class Object>
  requires(!std::derived_from<std::remove_cvref_t<Object>, SharedCallable> &&
           std::is_invocable_r_v<Result, std::decay_t<Object>&, Args...>) SharedCallable(Object&& object)
      : kept_(new Kept<std::decay_t<Object>>(std::forward<Object>(object))) {}
  SharedCallable(const SharedCallable& other) noexcept : kept_(other.kept_) {
    if (kept_ != nullptr) __atomic_add_fetch(&kept_->users, 1, __ATOMIC_RELAXED);
  }
  SharedCallable(SharedCallable&& other) noexcept : kept_(std::exchange(other.kept_, nullptr)) {}
  SharedCallable& operator=(SharedCallable other) noexcept {
    std::swap(kept_, other.kept_);
    return *this;
  }
  ~SharedCallable() {
    if (kept_ != nullptr && __atomic_sub_fetch(&kept_->users, 1, __ATOMIC_ACQ_REL) == 0) delete kept_;
  }

  explicit operator bool() const noexcept { return kept_ != nullptr; }
  Result operator()(Args... args) const { return kept_->call(std::forward<Args>(args)...); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual Result call(Args... args) = 0;
    unsigned users = 1;  // <atomic> would add a tenth to the time that a compiler needs for these headers
  };
  template <class Object>
  struct Kept final : Base {
    template <class From>
    explicit Kept(From&& from) : object(std::forward<From>(from)) {}
    Result call(Args... args) override { return object(std::forward<Args>(args)...); }
    Object object;
  };

  Base* kept_ = nullptr;
};

}  // namespace detail

class App : public detail::SharedCallable<Response(const Request&)> {
 public:
  App() noexcept = default;
  // `object` takes a `const Request&` and returns a Response, or what becomes one: a task<Response>.
  template <class Object>
  requires(!std::derived_from<std::remove_cvref_t<Object>, App> &&
           std::is_invocable_r_v<Response, std::decay_t<Object>&, const Request&>) App(Object&& object)
      : App(streams(object), std::forward<Object>(object)) {}

  // A router in it has a route with stream_body(): the mount gets NARWHAL_STREAM_BODY.
  bool streams_bodies() const noexcept { return streams_bodies_; }
  App& stream_bodies(bool streams) noexcept {
    streams_bodies_ = streams;
    return *this;
  }

 private:
  template <class Object>
  App(bool streams, Object&& object) : SharedCallable(std::forward<Object>(object)), streams_bodies_(streams) {}
  template <class Object>
  static bool streams(const Object& object) noexcept {
    if constexpr (requires { object.streams_bodies(); }) {
      return object.streams_bodies();
    } else {
      return false;
    }
  }

  bool streams_bodies_ = false;
};

using Middleware = detail::SharedCallable<App(App)>;

inline App wrap(App app) { return app; }
// The outermost first: wrap(app, outer, inner).
template <class... Rest>
App wrap(App app, Middleware outer, Rest... rest) {
  App inner = wrap(std::move(app), std::move(rest)...);
  const bool streams = inner.streams_bodies();
  App wrapped = outer(std::move(inner));
  return wrapped.stream_bodies(streams || wrapped.streams_bodies());
}

}  // namespace narwhal
