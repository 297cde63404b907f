// BodyStream: a request's body while it still arrives, for wsgi.input. Reading waits for the client, without the GIL.
// Ends     each read returns as much as was asked for, and less only at the body's end. When the client leaves before
//          that, it raises ConnectionResetError, because half an upload must not pass for a whole one.
// Threads  any, with the GIL. One thread reads at a time; others wait until it has finished.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

inline constexpr char input_is_closed[] = "wsgi.input is closed: its request has ended";

class BodyStream {
 public:
  // `size`: -1 when it is not known.
  BodyStream(narwhal_exchange* exchange, std::int64_t size) noexcept
      : exchange_(exchange), left_(static_cast<Py_ssize_t>(size)), ended_(size == 0) {}
  BodyStream(const BodyStream&) = delete;
  BodyStream& operator=(const BodyStream&) = delete;

  // New references to bytes. A negative size: no limit.
  PyObject* read(Py_ssize_t size) noexcept;
  PyObject* line(Py_ssize_t size) noexcept;  // empty at the body's end
  // By the handler's thread, at the request's end. Waits for another thread that is in read() or line().
  void close() noexcept;

 private:
  enum class Fault { none, closed, client_left, failed, no_memory };

  std::size_t ahead() const noexcept { return ahead_end_ - ahead_begin_; }
  template <class Work>
  Fault in_turn(Work work) noexcept;
  static PyObject* raise(Fault fault) noexcept;
  Fault receive(char* to, std::size_t size, std::size_t& got) noexcept;
  Fault receive_all(char* to, std::size_t size, std::size_t& got) noexcept;
  Fault gather(Py_ssize_t size, Ref& bytes) noexcept;
  Fault gather_line(Py_ssize_t size, Ref& bytes) noexcept;
  Fault look_ahead() noexcept;
  std::size_t take_ahead(char* to, std::size_t size) noexcept;

  std::mutex turn_;  // held by the thread that reads; guards the rest
  narwhal_exchange* exchange_;
  std::atomic<bool> closing_{false};
  Py_ssize_t left_;                // bytes that the client has still to send; -1: not known
  bool ended_;                     // the client has sent all
  std::unique_ptr<char[]> ahead_;  // what line() has received beyond its line
  std::size_t ahead_begin_ = 0, ahead_end_ = 0;
};

}  // namespace narwhal::wsgi
