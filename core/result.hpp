// Result<T>: a value, or an Error that says what was attempted and why it failed.
// Errors  before the loop runs, or_throw() turns an Error into StartupError, which main and the template catch;
//         once it runs, the caller keeps the old state, backs off, or answers 5xx. Never ignored.
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace narwhal {

struct Error {
  std::string message;  // names the attempt: "bind 0.0.0.0:80: Permission denied"
};

// "attempt: reason", with the errno of the failed call.
inline Error errno_error(const std::string& attempt, int code = errno) {
  return Error{attempt + ": " + std::strerror(code)};
}

struct StartupError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Done {};  // the value of a Result without a value

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const std::string& error() const { return std::get<1>(state_).message; }

 private:
  std::variant<T, Error> state_;
};

template <class T>
T or_throw(Result<T> result) {
  if (!result) throw StartupError(result.error());
  return *std::move(result);
}

}  // namespace narwhal
