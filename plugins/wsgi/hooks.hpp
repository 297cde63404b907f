// Hooks: the functions that a gunicorn.conf.py defines, called in the worker when Gunicorn would call them there.
//   post_fork(server, worker), then the import of the applications, then post_worker_init(worker); around each request
//   pre_request(worker, req) and post_request(worker, req, environ, resp); worker_abort(worker) when a request has
//   passed its deadline; worker_exit(server, worker) at the end.
// The process has one set, however many applications are mounted. python/hooks.py is the Python side.
// Cost     without pre_request and post_request, one read of a flag for each request.
// Threads  with the GIL, except where it says otherwise.
// Errors   false: an exception is set.
#pragma once

#include <string>

#include "plugins/wsgi/answer.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

struct HookFacts {
  std::string location;  // the file's path, or "python:MODULE"
  unsigned age = 1;      // Gunicorn's worker.age; here the worker's slot, from 1
  unsigned workers = 1, threads = 1;
};

// Runs the file, and its post_fork. Once in a process: later calls do nothing.
bool open_hooks(const HookFacts& facts) noexcept;
// Runs post_worker_init, after every application was loaded; `application` is one of them. Once in a process, too.
bool hooks_ready(PyObject* application) noexcept;
// Runs worker_exit. An exception is only logged, because the worker is ending anyway.
void close_hooks() noexcept;
// Runs worker_abort on a thread of its own. Any thread, without the GIL: a handler may hold that for ever.
void abort_by_hook() noexcept;

extern bool requests_have_hooks;

// The hooks of one request, where requests_have_hooks.
class HookedRequest {
 public:
  // Runs pre_request, which may change the headers in `environ`.
  bool begin(const narwhal_request& request, PyObject* environ) noexcept;
  // Runs post_request; its exceptions are only logged.
  void end(PyObject* environ, const Answer& answer) noexcept;

 private:
  Ref request_;
  // pre_request raised: as in Gunicorn, post_request gets an empty environ and no response.
  bool refused_ = false;
};

}  // namespace narwhal::wsgi
