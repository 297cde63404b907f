#include "plugins/wsgi/hooks.hpp"

#include <atomic>
#include <thread>

#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/interpreter.hpp"
#include "plugins/wsgi/scripts.hpp"

namespace narwhal::wsgi {

bool requests_have_hooks = false;
unsigned long requests_begun = 0;

namespace {

PyObject* hooks = nullptr;  // the script's Hooks; the next two are classes of the script
PyObject* request_class = nullptr;
PyObject* response_class = nullptr;
bool hooks_are_off = false;
bool forked_was_called = false, ready_was_called = false;
bool has_pre_request = false, has_post_request = false;
std::atomic<bool> may_abort{false};  // there is a worker_abort that has not been called

PyObject* answered(PyObject*, PyObject*) noexcept { return PyLong_FromUnsignedLong(requests_begun); }

PyObject* retire(PyObject*, PyObject*) noexcept {
  host->replace_worker();
  return Py_NewRef(Py_None);
}

PyMethodDef answered_method = {"answered", answered, METH_NOARGS, "how many requests this worker has begun"};
PyMethodDef retire_method = {"retire", retire, METH_NOARGS, "asks the server to replace this worker"};

bool has_hook(const char* name) noexcept {
  const Ref hook(PyObject_GetAttrString(hooks, name));
  return hook && hook.get() != Py_None;
}

// Calls a method of Hooks that has no arguments.
bool call(const char* method) noexcept {
  const Ref done(PyObject_CallMethod(hooks, method, nullptr));
  return static_cast<bool>(done);
}

bool make_hooks(const std::string& location, const std::string& settings) noexcept {
  const Ref globals(run_script(hooks_script, "<narwhal: hooks>"));
  const Ref write(globals ? make_log_writer() : nullptr);
  const Ref count(write ? PyCFunction_New(&answered_method, nullptr) : nullptr);
  const Ref end(count ? PyCFunction_New(&retire_method, nullptr) : nullptr);
  const Ref place(end ? PyUnicode_DecodeFSDefault(location.c_str()) : nullptr);
  const Ref values(place ? PyUnicode_DecodeFSDefault(settings.c_str()) : nullptr);
  if (!values) return false;
  hooks = PyObject_CallFunctionObjArgs(PyDict_GetItemString(globals.get(), "Hooks"), place.get(), values.get(),
                                       write.get(), count.get(), end.get(), nullptr);
  if (hooks == nullptr) return false;
  request_class = Py_NewRef(PyDict_GetItemString(globals.get(), "Request"));
  response_class = Py_NewRef(PyDict_GetItemString(globals.get(), "Response"));
  return true;
}

// [(name, value), ...]; `upper`: with names in upper case, as in Gunicorn's requests.
PyObject* header_list(const narwhal_field* fields, std::uint32_t count, bool upper) noexcept {
  Ref list(PyList_New(0));
  for (std::uint32_t index = 0; list && index < count; ++index) {
    const Ref name(latin1_text(view_of(fields[index].name)));
    const Ref value(name ? latin1_text(view_of(fields[index].value)) : nullptr);
    const Ref shown(value && upper ? PyObject_CallMethod(name.get(), "upper", nullptr) : Py_XNewRef(name.get()));
    const Ref pair(value && shown ? PyTuple_Pack(2, shown.get(), value.get()) : nullptr);
    if (!pair || PyList_Append(list.get(), pair.get()) != 0) return nullptr;
  }
  return list.release();
}

PyObject* make_request(const narwhal_request& request) noexcept {
  const auto text = [](narwhal_bytes bytes) { return Ref(latin1_text(view_of(bytes))); };
  const Ref headers(header_list(request.fields, request.field_count, true));
  const Ref method = text(request.method), uri = text(request.target), path = text(request.path),
            query = text(request.query), version = text(request.protocol), scheme = text(request.scheme),
            address = text(request.peer);
  if (!headers || !method || !uri || !path || !query || !version || !scheme || !address) return nullptr;
  const Ref peer(Py_BuildValue("(Oi)", address.get(), static_cast<int>(request.peer_port)));
  if (!peer) return nullptr;
  return PyObject_CallFunctionObjArgs(request_class, method.get(), uri.get(), path.get(), query.get(), version.get(),
                                      scheme.get(), peer.get(), headers.get(), nullptr);
}

PyObject* make_response(const Answer& answer) noexcept {
  const Ref headers(header_list(answer.headers().data(), answer.headers().count(), false));
  PyObject* const status = answer.status_text();
  if (!headers) return nullptr;
  return PyObject_CallFunctionObjArgs(response_class, status != nullptr ? status : Py_None, headers.get(), nullptr);
}

void run_abort() noexcept {
  if (!attach_thread()) return;
  const Gil gil;
  if (!call("abort")) log_exception(NARWHAL_LOG_ERROR, "Exception in worker_abort hook");
}

}  // namespace

void give_up_hooks() noexcept { hooks_are_off = true; }

bool load_hooks(const std::string& location, const std::string& settings) noexcept {
  if (hooks != nullptr || hooks_are_off || location.empty()) return true;
  if (!make_hooks(location, settings)) return false;
  has_pre_request = has_hook("pre_request");
  has_post_request = has_hook("post_request");
  may_abort.store(has_hook("worker_abort"));
  return true;
}

bool hooks_forked(unsigned age) noexcept {
  if (hooks == nullptr || std::exchange(forked_was_called, true)) return true;
  const Ref done(PyObject_CallMethod(hooks, "forked", "I", age));
  return static_cast<bool>(done);
}

bool hooks_ready(PyObject* application) noexcept {
  if (hooks == nullptr || std::exchange(ready_was_called, true)) return true;
  const Ref done(PyObject_CallMethod(hooks, "ready", "O", application));
  requests_have_hooks = done && (has_pre_request || has_post_request);
  return static_cast<bool>(done);
}

void close_hooks() noexcept {
  if (hooks == nullptr) return;
  const Ref done(PyObject_CallMethod(hooks, "leave", "i", host->left_at_once()));
  if (!done) log_exception(NARWHAL_LOG_ERROR, "Exception in worker_exit hook");
  Py_CLEAR(hooks);
  Py_CLEAR(request_class);
  Py_CLEAR(response_class);
}

void abort_by_hook() noexcept try {
  if (may_abort.exchange(false)) std::thread(run_abort).detach();
} catch (...) {
  log_line(NARWHAL_LOG_ERROR, "The worker_abort hook was not called: its thread could not be started");
}

bool HookedRequest::begin(const narwhal_request& request, PyObject* environ) noexcept {
  request_.reset(make_request(request));
  refused_ = true;
  if (!request_) return false;
  if (has_pre_request) {
    const Ref done(PyObject_CallMethod(hooks, "before", "OO", request_.get(), environ));
    if (!done) return false;
  }
  refused_ = false;
  return true;
}

void HookedRequest::end(PyObject* environ, const Answer& answer) noexcept {
  if (!request_ || !has_post_request) return;
  const Ref nothing(refused_ ? PyDict_New() : nullptr);
  const Ref response(refused_ ? Py_NewRef(Py_None) : make_response(answer));
  const Ref done(response ? PyObject_CallMethod(hooks, "after", "OOO", request_.get(),
                                                nothing ? nothing.get() : environ, response.get())
                          : nullptr);
  if (!done) log_exception(NARWHAL_LOG_ERROR, "Exception in post_request hook");
}

}  // namespace narwhal::wsgi
