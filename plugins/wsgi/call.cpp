#include "plugins/wsgi/call.hpp"

#include <algorithm>

#include "plugins/wsgi/answer.hpp"
#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/file_wrapper.hpp"
#include "plugins/wsgi/forked.hpp"
#include "plugins/wsgi/hooks.hpp"
#include "plugins/wsgi/input.hpp"
#include "plugins/wsgi/log_values.hpp"

namespace narwhal::wsgi {

namespace {

// start_response and the write() that it returns are one object, because few applications call write(); the number of
// arguments tells them apart. It outlives its request only where the application keeps it; calling it is an error then.
struct StartResponse {
  PyObject_HEAD vectorcallfunc vectorcall;
  Answer* answer;
};

StartResponse* as_start_response(PyObject* object) noexcept { return reinterpret_cast<StartResponse*>(object); }

PyObject* call_start_response(PyObject* callable, PyObject* const* arguments, std::size_t flagged,
                              PyObject* names) noexcept {
  Answer* const answer = as_start_response(callable)->answer;
  if (answer == nullptr) return PyErr_SetString(PyExc_RuntimeError, "this request has ended"), nullptr;
  const Py_ssize_t count = PyVectorcall_NARGS(flagged);
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (count == 1 && named == 0) {
    if (answer->write(arguments[0])) return Py_NewRef(Py_None);
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_BrokenPipeError, "the client is gone");
    return nullptr;
  }
  PyObject* parts[3] = {nullptr, nullptr, nullptr};
  static constexpr const char* part_names[] = {"status", "headers", "exc_info"};
  bool known = count + named >= 2 && count + named <= 3;
  for (Py_ssize_t index = 0; known && index < count; ++index) parts[index] = arguments[index];
  for (Py_ssize_t index = 0; known && index < named; ++index) {
    PyObject* const name = PyTuple_GET_ITEM(names, index);
    std::size_t part = 0;
    while (part < 3 && PyUnicode_CompareWithASCIIString(name, part_names[part]) != 0) ++part;
    // Gunicorn's second parameter is called headers, wsgiref's response_headers.
    if (part == 3 && PyUnicode_CompareWithASCIIString(name, "response_headers") == 0) part = 1;
    known = part < 3 && parts[part] == nullptr;
    if (known) parts[part] = arguments[count + index];
  }
  if (!known || parts[0] == nullptr || parts[1] == nullptr) {
    return PyErr_SetString(PyExc_TypeError, "start_response(status, headers, exc_info=None)"), nullptr;
  }
  return answer->start_response(parts[0], parts[1], parts[2]) ? Py_NewRef(callable) : nullptr;
}

PyTypeObject type = [] {
  PyTypeObject type = plain_type("narwhal.StartResponse", sizeof(StartResponse),
                                 "start_response(status, headers, exc_info=None), and write(bytes).");
  type.tp_vectorcall_offset = offsetof(StartResponse, vectorcall);
  type.tp_call = PyVectorcall_Call;
  type.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
  return type;
}();

// What a handler's thread reuses for each of its requests.
struct Reused {
  Answer answer;
  StartResponse* start_response = nullptr;
};
thread_local Reused reused;

StartResponse* make_start_response() noexcept {
  if (reused.start_response == nullptr) {
    reused.start_response = PyObject_New(StartResponse, &type);
    if (reused.start_response == nullptr) return nullptr;
    reused.start_response->vectorcall = call_start_response;
  }
  reused.start_response->answer = &reused.answer;
  return reused.start_response;
}

void retire_start_response() noexcept {
  reused.start_response->answer = nullptr;
  if (Py_REFCNT(reused.start_response) != 1) Py_CLEAR(reused.start_response);  // the application keeps it
}

// The application's iterable, part by part. The access log shows the environ as it is when the answer ends.
bool write_parts(Answer& answer, PyObject* result, PyObject* environ, narwhal_exchange* exchange) noexcept {
  const Ref iterator(PyObject_GetIter(result));
  if (!iterator) return false;
  while (!answer.gone()) {
    const Ref part(PyIter_Next(iterator.get()));
    end_if_forked();
    if (!part) return PyErr_Occurred() == nullptr;
    if (!answer.write(part.get())) return false;
    if (answer.ended()) {
      log_environ(environ, exchange);
      answer.flush();
    }
  }
  return false;
}

// A file that is read ends where the declared length does: devices and pipes have no end of their own.
bool write_file(Answer& answer, PyObject* wrapper) noexcept {
  FilePart part{};
  if (find_part(wrapper, part)) return answer.send_file(part);
  while (!answer.gone()) {
    const std::int64_t missing = answer.ended() ? 0 : answer.missing();
    if (missing == 0) return true;
    const Ref block = read_block(wrapper, missing);
    end_if_forked();
    const int more = block ? PyObject_IsTrue(block.get()) : -1;
    if (more <= 0) return more == 0;
    if (!answer.write(block.get())) return false;
  }
  return false;
}

bool write_result(Answer& answer, PyObject* result, PyObject* environ, narwhal_exchange* exchange) noexcept {
  if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) return answer.write_all(result);
  if (is_whole_file(result)) return write_file(answer, result);
  return write_parts(answer, result, environ, exchange);
}

// Calls close() where there is one (lists and tuples have none), after the answer was sent.
bool close_result(Answer& answer, PyObject* result) noexcept {
  if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) return true;
  static PyObject* const name = PyUnicode_InternFromString("close");
  const Ref close(name != nullptr ? PyObject_GetAttr(result, name) : nullptr);
  if (!close) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return false;
    PyErr_Clear();
    return true;
  }
  answer.flush();
  const Ref closed(PyObject_CallNoArgs(close.get()));
  end_if_forked();
  return static_cast<bool>(closed);
}

// `what`, which is short, and the request's target.
void log_failure(narwhal_exchange* exchange, std::string_view what) noexcept {
  char line[1100];
  const std::string_view path = view_of(host->request(exchange)->target).substr(0, 1000);
  char* const end = std::copy(path.begin(), path.end(), std::copy(what.begin(), what.end(), line));
  log_exception(NARWHAL_LOG_ERROR, {line, static_cast<std::size_t>(end - line)});
}

// For an application that raised: the client gets 500, or the response is cut off.
int fail(Answer& answer, narwhal_exchange* exchange) noexcept {
  if (answer.gone() && (PyErr_Occurred() == nullptr || PyErr_ExceptionMatches(PyExc_BrokenPipeError) != 0 ||
                        PyErr_ExceptionMatches(PyExc_ConnectionResetError) != 0)) {
    PyErr_Clear();  // not an error of the application: write() or wsgi.input raised it, or the iteration was stopped
    return NARWHAL_GONE;
  }
  if (PyErr_Occurred() != nullptr) log_failure(exchange, "Error handling request ");
  if (answer.ended()) return NARWHAL_OK;
  if (answer.head_sent()) {
    host->fail(exchange, 500,
               NARWHAL_LITERAL("the application failed after the head was sent: the response is cut off"));
    return NARWHAL_OK;
  }
  static const narwhal_field plain = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = 500;
  response.fields = &plain;
  response.field_count = 1;
  response.body = NARWHAL_LITERAL("Internal Server Error\n");
  return host->respond(exchange, &response) == NARWHAL_GONE ? NARWHAL_GONE : NARWHAL_OK;
}

int run(PyObject* application, PyObject* environ, narwhal_exchange* exchange) noexcept {
  Answer& answer = reused.answer;
  StartResponse* const start_response = make_start_response();
  if (start_response == nullptr) return fail(answer, exchange);
  PyObject* const arguments[] = {nullptr, environ, reinterpret_cast<PyObject*>(start_response)};
  const Ref result(PyObject_Vectorcall(application, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
  end_if_forked();
  int outcome = NARWHAL_OK;
  if (!result || !write_result(answer, result.get(), environ, exchange) || !answer.finish())
    outcome = fail(answer, exchange);
  log_environ(environ, exchange);
  // After failures too: PEP 3333 requires it.
  if (result && !close_result(answer, result.get())) log_failure(exchange, "Error closing the response of ");
  retire_start_response();
  return outcome;
}

}  // namespace

bool prepare_call_types() noexcept { return PyType_Ready(&type) == 0; }

int call_application(PyObject* application, const Environ& environ, RequestBody body,
                     narwhal_exchange* exchange) noexcept {
  free_returned_bytes();
  const narwhal_request& request = *host->request(exchange);
  reused.answer.begin(exchange);
  set_current_exchange(exchange);
  const Ref input(make_input(exchange, request.body_size, body));
  Refusal refused;
  const Ref made(input ? environ.make(request, input.get(), refused) : nullptr);
  HookedRequest hooked;
  const bool has_hooks = requests_have_hooks && made;
  int outcome = NARWHAL_OK;
  if (has_hooks && !hooked.begin(request, made.get())) {
    outcome = fail(reused.answer, exchange);
  } else if (made) {
    outcome = run(application, made.get(), exchange);
  } else if (refused.status != 0) {
    host->fail(exchange, refused.status, bytes_of(refused.reason));
  } else {
    outcome = fail(reused.answer, exchange);
  }
  if (has_hooks) hooked.end(made.get(), reused.answer);
  end_if_forked();
  if (input) close_input(input.get());
  set_current_exchange(nullptr);
  reused.answer.end();
  return outcome;
}

void forget_thread() noexcept { Py_CLEAR(reused.start_response); }

}  // namespace narwhal::wsgi
