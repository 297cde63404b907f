// Hooks: the functions that a gunicorn.conf.py defines, called in the worker when Gunicorn would call them there.
//   post_fork(server, worker), then the import of the applications, then post_worker_init(worker); around each request
//   pre_request(worker, req) and post_request(worker, req, environ, resp); worker_abort(worker) when a request has
//   passed its deadline; worker_int(worker), after a quick stop, and worker_exit(server, worker) at the end.
// The process has one set, however many applications are mounted. python/hooks.py is the Python side.
// Cost     without pre_request and post_request, one read of a flag for each request.
// Threads  with the GIL, except where it says otherwise.
// Errors   false: an exception is set.
#pragma once

#include <string>

#include "plugins/wsgi/answer.hpp"
#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// Runs the file: "python:MODULE" or its path; nothing if it is empty. `settings`: all of the server's, in JSON. Once in a
// process, or before it was forked: later calls do nothing.
bool load_hooks(const std::string& location, const std::string& settings) noexcept;
// The file could not be run, and is not needed: later calls do nothing.
void give_up_hooks() noexcept;
// Runs post_fork, once in a process. `age`: Gunicorn's worker.age; here the worker's slot, from 1.
bool hooks_forked(unsigned age) noexcept;
// Runs post_worker_init, after every application was loaded; `application` is one of them. Once in a process, too.
bool hooks_ready(PyObject* application) noexcept;
// Runs worker_int if the worker has left at once, then worker_exit. An exception is only logged, because the worker is
// ending anyway.
void close_hooks() noexcept;
// Runs worker_abort on a thread of its own. Any thread, without the GIL: a handler may hold that for ever.
void abort_by_hook() noexcept;

extern bool requests_have_hooks;
// Requests that this worker has begun, with the GIL: worker.nr of the hooks.
extern unsigned long requests_begun;

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
