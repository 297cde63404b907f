#include "plugins/wsgi/answer.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace narwhal::wsgi {

namespace {

// In bytes. Below these sizes the server's copy is cheaper than returning what was lent. Lent parts of a body need no
// copy to wait for the next part, so they are worth it earlier.
constexpr std::size_t body_worth_lending = 16 * 1024, part_worth_lending = 4 * 1024;

// Bytes that are lent to the server. It returns them to a lock-free stack, where they wait for a thread with the GIL.
struct Loan {
  PyObject* bytes;
  Loan* next;
};
std::atomic<Loan*> returned{nullptr};

void give_back(void* argument) noexcept {
  auto* const loan = static_cast<Loan*>(argument);
  loan->next = returned.load(std::memory_order_relaxed);
  while (!returned.compare_exchange_weak(loan->next, loan, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

Loan* lend(PyObject* bytes) noexcept {
  auto* const loan = static_cast<Loan*>(std::malloc(sizeof(Loan)));
  if (loan != nullptr) loan->bytes = Py_NewRef(bytes);
  return loan;  // null: out of memory, and the server copies them
}

// The number of a status such as "404 Not Found"; 0 and an exception when it has none.
int status_number(PyObject* status) noexcept {
  const bool is_text = PyUnicode_Check(status) && PyUnicode_READY(status) == 0;
  const std::string_view text = is_text ? latin1_view(status) : std::string_view();
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool good =
      text.size() >= 3 && std::all_of(text.begin(), text.begin() + 3, is_digit) && (text.size() == 3 || text[3] == ' ');
  if (good) return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  PyErr_Format(PyExc_ValueError, "status must be a str like '200 OK', not %R", status);
  return 0;
}

bool raise_again(PyObject* exc_info) noexcept {
  if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3) {
    PyErr_SetString(PyExc_TypeError, "exc_info must be the tuple of sys.exc_info()");
    return false;
  }
  const auto part = [&](Py_ssize_t index) {
    PyObject* const object = PyTuple_GET_ITEM(exc_info, index);
    return object == Py_None ? nullptr : Py_NewRef(object);
  };
  PyErr_Restore(part(0), part(1), part(2));
  return false;
}

}  // namespace

void free_returned_bytes() noexcept {
  if (returned.load(std::memory_order_relaxed) == nullptr) return;
  Loan* loan = returned.exchange(nullptr, std::memory_order_acquire);
  while (loan != nullptr) {
    Loan* const next = loan->next;
    Py_DECREF(loan->bytes);
    std::free(loan);
    loan = next;
  }
}

void Answer::begin(narwhal_exchange* exchange) noexcept {
  exchange_ = exchange;
  state_ = State::nothing;
  status_ = 0;
  left_ = -1;
}

void Answer::end() noexcept {
  headers_.clear();
  status_text_.reset();
}

bool Answer::start_response(PyObject* status, PyObject* headers, PyObject* exc_info) noexcept {
  if (exc_info != nullptr && exc_info != Py_None) {
    if (head_sent()) return raise_again(exc_info);
  } else if (state_ != State::nothing) {
    PyErr_SetString(PyExc_AssertionError, "Response headers already set!");
    return false;
  }
  const int number = status_number(status);
  if (number == 0 || !headers_.take(headers)) return false;
  status_ = number;
  status_text_ = Ref::to(status);
  state_ = State::head_kept;
  return true;
}

// Turns the server's result into an exception. GONE is not one: the caller asks gone().
bool Answer::accepted(int result) noexcept {
  if (result == NARWHAL_OK) return true;
  if (result == NARWHAL_REFUSED) {
    PyErr_SetString(PyExc_ValueError, "a status or header that may not go on the wire; the line above names it");
  } else if (result != NARWHAL_GONE) {
    PyErr_Format(PyExc_OSError, "the response could not be sent (%d)", result);
  }
  return false;
}

bool Answer::need_head() noexcept {
  if (state_ != State::nothing) return true;
  PyErr_SetString(PyExc_RuntimeError, "the application returned without having called start_response()");
  return false;
}

narwhal_response Answer::head(std::int64_t body_size) const noexcept {
  const std::string_view status = latin1_view(status_text_.get());
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status_;
  response.reason = bytes_of(status.size() > 4 ? status.substr(4) : std::string_view());
  response.fields = headers_.data();
  response.field_count = headers_.count();
  response.body_size = body_size;
  return response;
}

bool Answer::send_head(std::int64_t body_size) noexcept {
  const narwhal_response response = head(body_size);
  left_ = body_size;
  const bool good = accepted(host->start(exchange_, &response));
  if (good) state_ = State::head_sent;
  return good;
}

// Head and body in one call: one write on the wire.
bool Answer::respond(PyObject* bytes) noexcept {
  const std::string_view body = bytes != nullptr ? view_of_bytes(bytes) : std::string_view();
  narwhal_response response = head(0);
  response.body = bytes_of(body);
  if (body.size() >= body_worth_lending) {
    if (Loan* const loan = lend(bytes)) {
      response.release = give_back;
      response.release_arg = loan;
    }
  }
  const int result = host->respond(exchange_, &response);
  if (result == NARWHAL_OK || result == NARWHAL_GONE) state_ = State::ended;
  return accepted(result);
}

bool Answer::send(PyObject* bytes) noexcept {
  std::string_view part = view_of_bytes(bytes);
  if (left_ >= 0) {
    part = part.substr(0, static_cast<std::size_t>(left_));  // never more than was declared
    left_ -= static_cast<std::int64_t>(part.size());
  }
  if (part.empty()) return true;
  Loan* const loan = part.size() >= part_worth_lending ? lend(bytes) : nullptr;
  const auto write = [&](std::uint32_t flags) {
    return loan != nullptr ? host->write_lent(exchange_, bytes_of(part), flags, give_back, loan)
                           : host->write(exchange_, bytes_of(part), flags);
  };
  int result = write(NARWHAL_NOWAIT);
  if (result == NARWHAL_AGAIN) {
    const WithoutGil others_may_run;
    result = write(0);
  }
  free_returned_bytes();
  return accepted(result);
}

bool Answer::write(PyObject* bytes) noexcept {
  if (!PyBytes_Check(bytes)) {
    return PyErr_Format(PyExc_TypeError, "a part of the body must be bytes, not %s", Py_TYPE(bytes)->tp_name) !=
           nullptr;
  }
  if (!need_head()) return false;
  const std::string_view view = view_of_bytes(bytes);
  if (view.empty() || ended()) return true;
  if (state_ == State::head_kept) {
    const std::int64_t declared = headers_.content_length();
    if (declared == static_cast<std::int64_t>(view.size())) return respond(bytes);
    if (!send_head(declared)) return false;
  }
  return send(bytes);
}

bool Answer::write_all(PyObject* parts) noexcept {
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(parts);
  if (!need_head()) return false;
  std::int64_t total = 0;
  for (Py_ssize_t index = 0; index < count; ++index) {
    PyObject* const part = PySequence_Fast_GET_ITEM(parts, index);
    if (!PyBytes_Check(part)) return write(part);  // sets the exception
    total += PyBytes_GET_SIZE(part);
  }
  const std::int64_t declared = headers_.content_length();
  if (state_ == State::head_kept && declared < 0) {
    if (count == 1) return respond(PySequence_Fast_GET_ITEM(parts, 0));
    if (total != 0 && !send_head(total)) return false;
  }
  for (Py_ssize_t index = 0; index < count && !gone(); ++index) {
    const Ref part = Ref::to(PySequence_Fast_GET_ITEM(parts, index));
    if (!write(part.get())) return false;
    if (PySequence_Fast_GET_SIZE(parts) != count)
      break;  // the application changed its list while this waited for the client
  }
  return true;
}

bool Answer::send_file(const FilePart& part) noexcept {
  if (!need_head()) return false;
  const std::int64_t declared = headers_.content_length();
  if (state_ == State::head_kept && !send_head(declared >= 0 ? declared : part.size)) return false;
  const std::int64_t length = left_ >= 0 ? std::min(left_, part.size) : part.size;
  if (left_ >= 0) left_ -= length;
  const WithoutGil others_may_run;
  const int result = length == 0 ? NARWHAL_OK : host->send_file(exchange_, part.descriptor, part.offset, length);
  return result == NARWHAL_OK || result == NARWHAL_GONE;
}

void Answer::flush() noexcept { host->flush(exchange_); }

bool Answer::finish() noexcept {
  if (ended()) return true;
  if (!need_head()) return false;
  // Nothing was written. A declared length is then that of the answer to GET (this is a HEAD), or a mistake.
  if (state_ == State::head_kept) {
    if (headers_.content_length() <= 0) return respond(nullptr);
    if (!send_head(headers_.content_length())) return false;
  }
  state_ = State::ended;
  const int result = host->finish(exchange_);
  return result == NARWHAL_OK || result == NARWHAL_GONE || result == NARWHAL_STATE;
}

}  // namespace narwhal::wsgi
