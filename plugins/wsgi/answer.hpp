// Answer: a request's response while the application makes it, by PEP 3333's rules.
//   start_response() only keeps status and headers; they leave with the first bytes of the body, or at its end.
// Length   what the application's Content-Length says, else what is at hand as a whole, else unknown (chunked).
// Threads  the handler's, with the GIL. It is let go only while a slow client is waited for.
// Errors   false: an exception is set, or the client is gone (gone() says which).
#pragma once

#include "plugins/wsgi/headers.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

class Answer {
 public:
  void begin(narwhal_exchange* exchange) noexcept;
  void end() noexcept;  // lets go of the application's objects

  // start_response(status, headers, exc_info=None); null objects where left out.
  bool start_response(PyObject* status, PyObject* headers, PyObject* exc_info) noexcept;
  // A part of the body, of bytes. Empty parts say nothing.
  bool write(PyObject* bytes) noexcept;
  // All of the body: `parts` is a list or a tuple of bytes.
  bool write_all(PyObject* parts) noexcept;
  // The rest of a regular file from where it stands now. `sent`: whether it was one.
  bool send_file(PyObject* file, bool& sent) noexcept;
  bool finish() noexcept;
  // The client need not wait for what the application still does.
  void flush() noexcept;

  bool head_sent() const noexcept { return state_ >= State::head_sent; }
  bool ended() const noexcept { return state_ == State::ended; }
  bool gone() const noexcept { return host->gone(exchange_) != 0; }
  // What the application gave to start_response(), until end(). Null, and none: it has not called it.
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
  std::int64_t left_ = -1;  // of the length that was promised; -1: none was
};

// What was lent to the server and given back by a thread that has no business with the GIL: freed here, by one that has it.
void free_returned_bytes() noexcept;

}  // namespace narwhal::wsgi
