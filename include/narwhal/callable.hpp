// Callable<R(Args...)>: owns one callable object, which may be move-only. std::move_only_function of C++23, in C++20 and
// without <functional>, which costs a compiler more than this whole interface.
// Ownership  it moves and does not copy. Up to three pointers are kept in place, larger objects on the heap.
// Errors     what the object throws passes through. Calling an empty one is undefined: test it first.
// Threads    those of the object.
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace narwhal {

template <class Signature>
class Callable;

template <class Result, class... Args>
class Callable<Result(Args...)> {
 public:
  Callable() noexcept = default;
  template <class Object>
  requires(!std::same_as<std::remove_cvref_t<Object>, Callable> &&
           std::is_invocable_r_v<Result, std::decay_t<Object>&, Args...>) Callable(Object&& object) {
    using Kept = std::decay_t<Object>;
    if constexpr (fits<Kept>) {
      new (static_cast<void*>(place_)) Kept(std::forward<Object>(object));
    } else {
      new (static_cast<void*>(place_)) Kept*(new Kept(std::forward<Object>(object)));
    }
    actions_ = &actions_of<Kept>;
  }
  Callable(Callable&& other) noexcept : actions_(std::exchange(other.actions_, nullptr)) {
    if (actions_ != nullptr) actions_->move(place_, other.place_);
  }
  Callable& operator=(Callable&& other) noexcept {
    if (this == &other) return *this;
    reset();
    actions_ = std::exchange(other.actions_, nullptr);
    if (actions_ != nullptr) actions_->move(place_, other.place_);
    return *this;
  }
  ~Callable() { reset(); }

  explicit operator bool() const noexcept { return actions_ != nullptr; }
  Result operator()(Args... args) { return actions_->call(place_, std::forward<Args>(args)...); }

 private:
  static constexpr std::size_t size_max = 3 * sizeof(void*);
  template <class Kept>
  static constexpr bool fits = sizeof(Kept) <= size_max &&
                               alignof(Kept) <= alignof(void*) && std::is_nothrow_move_constructible_v<Kept>;
  struct Actions {
    Result (*call)(void* place, Args&&... args);
    void (*move)(void* to, void* from) noexcept;  // and destroys what it has moved
    void (*destroy)(void* place) noexcept;
  };
  template <class Kept>
  static Kept& object_in(void* place) noexcept {
    if constexpr (fits<Kept>) {
      return *static_cast<Kept*>(place);
    } else {
      return **static_cast<Kept**>(place);
    }
  }
  template <class Kept>
  static constexpr Actions actions_of = {[](void* place, Args&&... args) -> Result {
                                           if constexpr (std::is_void_v<Result>) {
                                             object_in<Kept>(place)(std::forward<Args>(args)...);
                                           } else {
                                             return object_in<Kept>(place)(std::forward<Args>(args)...);
                                           }
                                         },
                                         [](void* to, void* from) noexcept {
                                           if constexpr (fits<Kept>) {
                                             Kept& object = object_in<Kept>(from);
                                             new (to) Kept(std::move(object));
                                             object.~Kept();
                                           } else {
                                             new (to) Kept*(*static_cast<Kept**>(from));
                                           }
                                         },
                                         [](void* place) noexcept {
                                           if constexpr (fits<Kept>) {
                                             object_in<Kept>(place).~Kept();
                                           } else {
                                             delete *static_cast<Kept**>(place);
                                           }
                                         }};

  void reset() noexcept {
    if (actions_ != nullptr) actions_->destroy(place_);
    actions_ = nullptr;
  }

  alignas(void*) unsigned char place_[size_max];
  const Actions* actions_ = nullptr;
};

}  // namespace narwhal
