// Answer: a request's response while the application makes it, by PEP 3333's rules.
//   start_response() only keeps status and headers; they are sent with the first bytes of the body, or at its end.
// Length   the application's Content-Length; else the size of a body that is known as a whole; else unknown (chunked).
// Threads  the handler's, with the GIL. It is released only to wait for a slow client.
// Errors   false: an exception is set, or the client is gone (gone() tells which).
#pragma once

#include "plugins/wsgi/file_wrapper.hpp"
#include "plugins/wsgi/headers.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

class Answer {
 public:
  void begin(narwhal_exchange* exchange) noexcept;
  void end() noexcept;  // releases the application's objects

  // start_response(status, headers, exc_info=None); null objects where left out.
  bool start_response(PyObject* status, PyObject* headers, PyObject* exc_info) noexcept;
  // A part of the body; it must be bytes. Empty parts have no effect.
  bool write(PyObject* bytes) noexcept;
  // All of the body: `parts` is a list or a tuple of bytes.
  bool write_all(PyObject* parts) noexcept;
  // Part of a file, as the whole body.
  bool send_file(const FilePart& part) noexcept;
  bool finish() noexcept;
  // Sends what there is, because the application is about to do work for which the client need not wait.
  void flush() noexcept;

  bool head_sent() const noexcept { return state_ >= State::head_sent; }
  bool ended() const noexcept { return state_ == State::ended; }
  // Bytes that are missing from the Content-Length that the application gave; -1: it gave none.
  std::int64_t missing() const noexcept { return head_sent() ? left_ : headers_.content_length(); }
  bool gone() const noexcept { return host->gone(exchange_) != 0; }
  // What the application gave to start_response(), until end(). Null, and no headers, when it has not called it.
  PyObject* status_text() const noexcept { return status_text_.get(); }
  const HeaderFields& headers() const noexcept { return headers_; }

 private:
  enum class State { nothing, head_kept, head_sent, ended };

  bool need_head() noexcept;
  narwhal_response head(std::int64_t body_size) const noexcept;
  bool send_head(std::int64_t body_size) noexcept;
  bool respond(PyObject* bytes) noexcept;
  bool send(PyObject* bytes) noexcept;
  bool accepted(int result) noexcept;

  narwhal_exchange* exchange_ = nullptr;
  State state_ = State::nothing;
  int status_ = 0;
  Ref status_text_;
  HeaderFields headers_;
  std::int64_t left_ = -1;  // bytes missing from the declared length; -1: none was declared
};

// Frees the bytes that the server has released: it does so on threads that must not wait for the GIL.
void free_returned_bytes() noexcept;

}  // namespace narwhal::wsgi
