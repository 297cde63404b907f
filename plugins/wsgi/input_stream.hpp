// BodyStream: a request's body while it still arrives, for wsgi.input. Reading waits for the client, without the GIL.
// Ends     each read gives what was asked for, less only at the body's end. A client that leaves before it raises
//          ConnectionResetError: half an upload must not pass for a whole one.
// Threads  any, with the GIL. One reads, others wait until it has what it wants.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

inline constexpr char input_is_closed[] = "wsgi.input is closed: its request is over";

class BodyStream {
 public:
  // `size`: -1 when it is not known.
  BodyStream(narwhal_exchange* exchange, std::int64_t size) noexcept
      : exchange_(exchange), left_(static_cast<Py_ssize_t>(size)), ended_(size == 0) {}
  BodyStream(const BodyStream&) = delete;
  BodyStream& operator=(const BodyStream&) = delete;

  // New references: bytes. A negative size: as much as there is.
  PyObject* read(Py_ssize_t size) noexcept;
  PyObject* line(Py_ssize_t size) noexcept;  // empty at the body's end
  // The handler's thread, when the request is over. Waits for whoever is in read() or line() on another.
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

  std::mutex turn_;  // whose turn it is to read; guards the rest
  narwhal_exchange* exchange_;
  std::atomic<bool> closing_{false};
  Py_ssize_t left_;                // to come, beside what lies ahead; -1: it is not known
  bool ended_;                     // nothing is to come
  std::unique_ptr<char[]> ahead_;  // what line() has received too much
  std::size_t ahead_begin_ = 0, ahead_end_ = 0;
};

}  // namespace narwhal::wsgi
