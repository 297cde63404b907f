// environ: PEP 3333's dictionary of a request, as Gunicorn builds it.
// Speed    what is the same for every request stands in a template, which is copied; keys are made once; a value that
//          is the same as in the request before (Host, User-Agent, the path that everybody asks for) is the same object.
// Threads  with the GIL.
#pragma once

#include <string>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// The facts of one mount.
struct EnvironFacts {
  std::string script_name;  // where it is mounted, or $SCRIPT_NAME
  bool multithread = false, multiprocess = false;
};

class Environ {
 public:
  // False: an exception is set.
  bool prepare(const EnvironFacts& facts) noexcept;
  // A new dictionary; null: an exception is set, or `refused` is not null and says why the request cannot be served.
  PyObject* make(const narwhal_request& request, PyObject* input, const char*& refused) const noexcept;
  void clear() noexcept;

 private:
  bool set_fields(PyObject* environ, const narwhal_request& request) const noexcept;
  bool set_path(PyObject* environ, const narwhal_request& request, const char*& refused) const noexcept;

  std::string script_name_;
  Ref template_;
};

// Keys and values that outlive requests: once in a process. False: an exception is set.
bool prepare_environ_texts() noexcept;
void clear_environ_texts() noexcept;

}  // namespace narwhal::wsgi
