// environ: PEP 3333's dictionary of a request, as Gunicorn builds it.
// Speed    values that are the same for every request are in a template, which is copied. Keys are made once. A value
//          that is equal to the one in the request before (Host, User-Agent, a popular path) is the same object.
// Threads  with the GIL.
#pragma once

#include <string>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// What is known about one mount.
struct EnvironFacts {
  std::string script_name;  // the prefix at which it is mounted; for a mount at the root, $SCRIPT_NAME; decoded
  bool multithread = false, multiprocess = false;
};

// Why a request is not given to the application. Status 0: it is.
struct Refusal {
  int status = 0;
  std::string_view reason;  // a literal
};

// A SCRIPT_NAME as PEP 3333 has it: decoded, and without a slash at its end.
std::string normal_script_name(std::string_view text);

class Environ {
 public:
  // False: an exception is set.
  bool prepare(const EnvironFacts& facts) noexcept;
  // A new dictionary. Null: an exception is set, or `refused` says why the request cannot be served.
  PyObject* make(const narwhal_request& request, PyObject* input, Refusal& refused) const noexcept;
  void clear() noexcept;

 private:
  bool set_variables(PyObject* environ, const narwhal_request& request) const noexcept;
  bool set_fields(PyObject* environ, const narwhal_request& request) const noexcept;
  bool set_path(PyObject* environ, const narwhal_request& request, Refusal& refused) const noexcept;

  std::string script_name_;
  Ref template_;
};

// Keys and values that outlive requests: once in a process. False: an exception is set.
bool prepare_environ_texts() noexcept;
void clear_environ_texts() noexcept;

}  // namespace narwhal::wsgi
