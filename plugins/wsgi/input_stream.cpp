#include "plugins/wsgi/input_stream.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace narwhal::wsgi {

namespace {

constexpr std::size_t ahead_size = 16 * 1024;
// In bytes: the memory that a read begins with, however much it asks for; it doubles while bytes arrive. A declared
// length does not mean that the client will send as much, so no memory is allocated for it in advance.
constexpr std::size_t first_of_known = 1024 * 1024, first_of_unknown = 64 * 1024;

// A bytes object that grows while it is filled, without a copy where realloc() can avoid it.
class Growing {
 public:
  explicit Growing(std::size_t most) noexcept : most_(most) {}
  Growing(const Growing&) = delete;
  Growing& operator=(const Growing&) = delete;
  ~Growing() { Py_XDECREF(bytes_); }

  bool full() const noexcept { return left() == 0; }
  char* tail() const noexcept { return PyBytes_AS_STRING(bytes_) + size_; }
  std::size_t room() const noexcept { return capacity_ - size_; }
  std::size_t left() const noexcept { return most_ - size_; }
  void took(std::size_t count) noexcept { size_ += count; }

  // Makes room for at least `count` bytes, but never for more than `most` in all. False: an exception is set.
  bool make_room(std::size_t count) noexcept {
    if (room() >= count) return true;
    return resize(std::min(std::max(2 * capacity_, size_ + count), most_));
  }
  PyObject* finish() noexcept {
    if (bytes_ == nullptr) return PyBytes_FromStringAndSize(nullptr, 0);
    return size_ == capacity_ || resize(size_) ? std::exchange(bytes_, nullptr) : nullptr;
  }

 private:
  bool resize(std::size_t capacity) noexcept {
    capacity_ = capacity;
    if (bytes_ != nullptr) return _PyBytes_Resize(&bytes_, static_cast<Py_ssize_t>(capacity)) == 0;
    bytes_ = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(capacity));
    return bytes_ != nullptr;
  }

  PyObject* bytes_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
  const std::size_t most_;
};

std::size_t unlimited_if_negative(Py_ssize_t size) noexcept {
  return static_cast<std::size_t>(size < 0 ? PY_SSIZE_T_MAX : size);
}

}  // namespace

// Nothing in a turn runs Python code, because that could ask for a turn itself: exceptions are raised after it.
template <class Work>
BodyStream::Fault BodyStream::in_turn(Work work) noexcept {
  if (!turn_.try_lock()) {
    const WithoutGil holder_may_need_it;
    turn_.lock();
  }
  const Fault fault = work();
  turn_.unlock();
  return fault;
}

// Without the GIL. Gets at least one byte, or none at the body's end.
BodyStream::Fault BodyStream::receive(char* to, std::size_t size, std::size_t& got) noexcept {
  got = 0;
  if (closing_.load(std::memory_order_relaxed)) return Fault::closed;
  if (ended_) return Fault::none;
  const std::int64_t count = host->read_body(exchange_, to, size);
  if (count < 0) return count == NARWHAL_GONE ? Fault::client_left : Fault::failed;
  got = static_cast<std::size_t>(count);
  if (left_ >= 0) left_ -= static_cast<Py_ssize_t>(count);
  // After the last byte, the end is read too: the server keeps the connection only when it has seen the end.
  char nothing;
  ended_ = count == 0 || (left_ == 0 && host->read_body(exchange_, &nothing, 1) <= 0);
  return Fault::none;
}

BodyStream::Fault BodyStream::receive_all(char* to, std::size_t size, std::size_t& got) noexcept {
  const WithoutGil others_may_run;
  got = 0;
  while (got < size && !ended_) {
    std::size_t count = 0;
    const Fault fault = receive(to + got, size - got, count);
    if (fault != Fault::none) return fault;
    got += count;
  }
  return Fault::none;
}

std::size_t BodyStream::take_ahead(char* to, std::size_t size) noexcept {
  const std::size_t count = std::min(size, ahead());
  if (count != 0) std::memcpy(to, ahead_.get() + ahead_begin_, count);
  ahead_begin_ += count;
  return count;
}

BodyStream::Fault BodyStream::gather(Py_ssize_t size, Ref& bytes) noexcept {
  if (exchange_ == nullptr) return Fault::closed;
  std::size_t most = unlimited_if_negative(size);
  if (left_ >= 0) most = std::min(most, ahead() + static_cast<std::size_t>(left_));
  Growing made(most);
  std::size_t step = left_ >= 0 ? first_of_known : first_of_unknown;
  while (!made.full() && (ahead() != 0 || !ended_)) {
    if (!made.make_room(std::min(step, most))) return Fault::no_memory;
    step = 1;  // from now on make_room() doubles
    made.took(take_ahead(made.tail(), made.room()));
    std::size_t got = 0;
    const Fault fault = receive_all(made.tail(), made.room(), got);
    if (fault != Fault::none) return fault;
    made.took(got);
  }
  bytes.reset(made.finish());
  return bytes ? Fault::none : Fault::no_memory;
}

BodyStream::Fault BodyStream::look_ahead() noexcept {
  if (!ahead_) ahead_.reset(new (std::nothrow) char[ahead_size]);
  if (!ahead_) return Fault::no_memory;
  ahead_begin_ = ahead_end_ = 0;
  const WithoutGil others_may_run;
  return receive(ahead_.get(), ahead_size, ahead_end_);
}

BodyStream::Fault BodyStream::gather_line(Py_ssize_t size, Ref& bytes) noexcept {
  if (exchange_ == nullptr) return Fault::closed;
  Growing made(unlimited_if_negative(size));
  bool found = false;
  while (!found && !made.full()) {
    if (ahead() == 0) {
      if (const Fault fault = look_ahead(); fault != Fault::none) return fault;
      if (ahead() == 0) break;
    }
    std::size_t length = std::min(ahead(), made.left());
    const char* const from = ahead_.get() + ahead_begin_;
    if (const void* const end = std::memchr(from, '\n', length)) {
      found = true;
      length = static_cast<std::size_t>(static_cast<const char*>(end) - from) + 1;
    }
    if (!made.make_room(length)) return Fault::no_memory;
    made.took(take_ahead(made.tail(), length));
  }
  bytes.reset(made.finish());
  return bytes ? Fault::none : Fault::no_memory;
}

PyObject* BodyStream::raise(Fault fault) noexcept {
  switch (fault) {
    case Fault::closed: PyErr_SetString(PyExc_ValueError, input_is_closed); break;
    case Fault::client_left:
      PyErr_SetString(
          PyExc_ConnectionResetError,
          "the rest of the request's body will not arrive: its client has left, or already has the server's answer");
      break;
    case Fault::failed:
      PyErr_SetString(PyExc_OSError, "the request's body cannot be read; the server's log says why");
      break;
    case Fault::none:
    case Fault::no_memory:
      if (PyErr_Occurred() == nullptr) PyErr_NoMemory();
  }
  return nullptr;
}

PyObject* BodyStream::read(Py_ssize_t size) noexcept {
  Ref bytes;
  const Fault fault = in_turn([&] { return gather(size, bytes); });
  return fault == Fault::none ? bytes.release() : raise(fault);
}

PyObject* BodyStream::line(Py_ssize_t size) noexcept {
  Ref bytes;
  const Fault fault = in_turn([&] { return gather_line(size, bytes); });
  return fault == Fault::none ? bytes.release() : raise(fault);
}

void BodyStream::close() noexcept {
  closing_.store(true, std::memory_order_relaxed);
  if (!turn_.try_lock()) {
    const WithoutGil holder_may_need_it;
    host->flush(exchange_);  // the client need not wait for the reader
    turn_.lock();
  }
  exchange_ = nullptr;
  ahead_.reset();
  ahead_begin_ = ahead_end_ = 0;
  turn_.unlock();
}

}  // namespace narwhal::wsgi
