// Hooks: the functions that a gunicorn.conf.py defines, called in the worker when Gunicorn would call them there.
//   post_fork(server, worker), the import of the applications, post_worker_init(worker); around each request
//   pre_request(worker, req) and post_request(worker, req, environ, resp); worker_abort(worker) when a request is past
//   its deadline; worker_exit(server, worker) at the end.
// One set for the process, whatever number of applications is mounted.
// Cost     without pre_request and post_request one look at a flag for each request.
// Threads  with the GIL, but where it says otherwise.
// Errors   false: an exception is set.
#pragma once

#include <string>

#include "plugins/wsgi/answer.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

struct HookFacts {
  std::string location;  // the file's path, or "python:MODULE"
  unsigned age = 1;      // what Gunicorn calls a worker's age; here its place
  unsigned workers = 1, threads = 1;
};

// Runs the file, and its post_fork. Once in a process: later calls do nothing.
bool open_hooks(const HookFacts& facts) noexcept;
// Every application is there; `application` is one of them. Once, too.
bool hooks_ready(PyObject* application) noexcept;
// worker_exit. An exception is only logged: nothing can be stopped any more.
void close_hooks() noexcept;
// worker_abort, on a thread of its own: any thread may call this, without the GIL, which a handler may hold for ever.
void abort_by_hook() noexcept;

extern bool requests_have_hooks;

// One request, where they have.
class HookedRequest {
 public:
  // pre_request, which may change the headers that are in `environ`.
  bool begin(const narwhal_request& request, PyObject* environ) noexcept;
  // post_request; its exceptions are only logged.
  void end(PyObject* environ, const Answer& answer) noexcept;

 private:
  Ref request_;
  // pre_request raised: as with Gunicorn there is no environ, and no answer of the application's.
  bool refused_ = false;
};

}  // namespace narwhal::wsgi
