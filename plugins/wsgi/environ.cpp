#include "plugins/wsgi/environ.hpp"

#include <charconv>
#include <narwhal/text.hpp>
#include <new>

#include "plugins/wsgi/extras.hpp"
#include "plugins/wsgi/file_wrapper.hpp"
#include "plugins/wsgi/texts.hpp"

namespace narwhal::wsgi {

namespace {

// Keys that every environ has, in its order.
enum Key {
  request_method,
  query_string,
  raw_uri,
  server_protocol,
  url_scheme,
  remote_addr,
  remote_port,
  server_name,
  server_port,
  path_info,
  script_name,
  wsgi_input,
  keys_count
};
constexpr const char* key_names[keys_count] = {"REQUEST_METHOD",  "QUERY_STRING", "RAW_URI",     "SERVER_PROTOCOL",
                                               "wsgi.url_scheme", "REMOTE_ADDR",  "REMOTE_PORT", "SERVER_NAME",
                                               "SERVER_PORT",     "PATH_INFO",    "SCRIPT_NAME", "wsgi.input"};
PyObject* keys[keys_count];
LastText last[keys_count];

// Clients' ports differ from request to request, but only few are in use at a time.
constexpr std::size_t ports_kept = 256;
struct PortText {
  std::uint16_t port = 0;
  PyObject* text = nullptr;
};
PortText port_texts[ports_kept];

PyObject* port_text(std::uint16_t port) noexcept {
  PortText& kept = port_texts[port % ports_kept];
  if (kept.text == nullptr || kept.port != port) {
    PyObject* const fresh = PyUnicode_FromFormat("%u", static_cast<unsigned>(port));
    if (fresh == nullptr) return nullptr;
    Py_XSETREF(kept.text, fresh);
    kept.port = port;
  }
  return Py_NewRef(kept.text);
}

// Takes ownership of `value`.
bool set(PyObject* environ, PyObject* key, PyObject* value) noexcept {
  const Ref owned(value);
  return owned && PyDict_SetItem(environ, key, value) == 0;
}
bool set(PyObject* environ, Key key, PyObject* value) noexcept { return set(environ, keys[key], value); }
bool set(PyObject* environ, Key key, std::string_view value) noexcept { return set(environ, key, last[key].of(value)); }

// As urllib.parse.unquote() does: a '%' that does not begin an escape stays.
PyObject* unquoted(std::string_view path) noexcept try {
  return last[path_info].of(percent_decode(path));
} catch (...) {
  return PyErr_NoMemory();
}

// The two halves of a Host field; without a port, the scheme's default.
void set_server(std::string_view authority, std::string_view scheme, std::string_view& name,
                std::string_view& port) noexcept {
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  name = has_port ? authority.substr(0, colon) : authority;
  port = has_port ? authority.substr(colon + 1) : scheme == "https" ? "443" : "80";
}

// The values of all fields of one name, joined in order: Cookie by RFC 6265 5.4, others by RFC 9110 5.3.
PyObject* joined(const narwhal_request& request, PyObject* key) noexcept try {
  std::string text;
  bool first = true;
  const bool is_cookie = PyUnicode_CompareWithASCIIString(key, "HTTP_COOKIE") == 0;
  for (std::uint32_t index = 0; index < request.field_count; ++index) {
    const HeaderKey found = header_key(view_of(request.fields[index].name));
    if (found.key == nullptr) return nullptr;
    const int same = found.key == key ? 1 : PyUnicode_Compare(found.key, key) == 0;
    if (!found.kept) Py_DECREF(found.key);
    if (same == 0) continue;
    if (!first) text += is_cookie ? "; " : ",";
    first = false;
    text += view_of(request.fields[index].value);
  }
  return latin1_text(text);
} catch (...) {
  return PyErr_NoMemory();
}

// Sets a field, or joins it with earlier fields of the same name: these are there when environ does not grow.
bool set_field(PyObject* environ, const HeaderKey& key, const narwhal_request& request, narwhal_bytes value) noexcept {
  const Py_ssize_t before = PyDict_GET_SIZE(environ);
  if (!set(environ, key.key, key.last != nullptr ? key.last->of(view_of(value)) : latin1_text(view_of(value))))
    return false;
  return PyDict_GET_SIZE(environ) != before || set(environ, key.key, joined(request, key.key));
}

// The field SCRIPT_NAME, by which a trusted proxy names the mount; null when there is none.
const narwhal_field* script_name_field(const narwhal_request& request) noexcept {
  for (std::uint32_t index = 0; index < request.field_count; ++index) {
    const std::string_view name = view_of(request.fields[index].name);
    if (name.size() == 11 && name[6] == '_' && header_key(name).kind == HeaderKey::Kind::script_name) {
      return &request.fields[index];
    }
  }
  return nullptr;
}

// What the web server in front has said, else `otherwise`.
std::string_view said(const narwhal_request& request, std::string_view name, std::string_view otherwise) noexcept {
  for (std::uint32_t index = request.variable_count; index-- > 0;) {
    if (view_of(request.variables[index].name) == name) return view_of(request.variables[index].value);
  }
  return otherwise;
}

bool set_new(PyObject* dictionary, const char* key, PyObject* value) noexcept {
  const Ref owned(value);
  return owned && PyDict_SetItemString(dictionary, key, value) == 0;
}

}  // namespace

bool prepare_environ_texts() noexcept {
  for (std::size_t key = 0; key < keys_count; ++key) {
    if (keys[key] == nullptr) keys[key] = PyUnicode_InternFromString(key_names[key]);
    if (keys[key] == nullptr) return false;
  }
  return prepare_header_keys();
}

void clear_environ_texts() noexcept {
  for (std::size_t key = 0; key < keys_count; ++key) {
    Py_CLEAR(keys[key]);
    last[key].clear();
  }
  for (PortText& kept : port_texts) Py_CLEAR(kept.text);
  clear_header_keys();
}

std::string normal_script_name(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  return percent_decode(text);
}

bool Environ::prepare(const EnvironFacts& facts) noexcept {
  script_name_ = facts.script_name;
  template_.reset(PyDict_New());
  PyObject* const made = template_.get();
  if (made == nullptr) return false;
  bool good = true;
  // With all keys that every request has from the start, a copy has room for its header fields.
  for (PyObject* const key : keys) good = good && PyDict_SetItem(made, key, Py_None) == 0;
  return good && set_new(made, "wsgi.version", Py_BuildValue("(ii)", 1, 0)) &&
         set_new(made, "wsgi.errors", make_errors()) &&
         set_new(made, "wsgi.multithread", PyBool_FromLong(facts.multithread)) &&
         set_new(made, "wsgi.multiprocess", PyBool_FromLong(facts.multiprocess)) &&
         set_new(made, "wsgi.run_once", PyBool_FromLong(0)) &&
         set_new(made, "wsgi.file_wrapper", Py_NewRef(file_wrapper_type())) &&
         set_new(made, "wsgi.input_terminated", PyBool_FromLong(1)) &&
         set_new(made, "wsgi.early_hints", make_early_hints()) &&
         set_new(made, "SERVER_SOFTWARE", latin1_text(std::string(view_of(host->server)) + " (gunicorn compatible)"));
}

void Environ::clear() noexcept { template_.reset(); }

bool Environ::set_path(PyObject* environ, const narwhal_request& request, Refusal& refused) const noexcept try {
  std::string_view path = view_of(request.path);
  const narwhal_field* const field = script_name_field(request);
  const std::string named = field != nullptr ? normal_script_name(view_of(field->value)) : std::string();
  const bool is_mounted_outside = request.variable_count != 0 && request.prefix.size != 0;
  const std::string_view script = field != nullptr     ? named
                                  : is_mounted_outside ? view_of(request.prefix)
                                                       : std::string_view(script_name_);
  // "OPTIONS *" asks about the whole server.
  const std::size_t size = path.starts_with('/') ? prefix_size(path, script) : 0;
  if (size == std::string_view::npos) {
    // A proxy that names the wrong prefix has to be repaired. Otherwise the client asked for what is not here: with its
    // whole path the application would serve it, past a proxy that protects only what is under the prefix.
    if (field != nullptr) refused = {400, "the field SCRIPT_NAME is not a prefix of the path"};
    if (field == nullptr) refused = {404, "the path is not under the environment variable SCRIPT_NAME"};
    return false;
  }
  path.remove_prefix(size);
  return set(environ, script_name, script) &&
         (path.find('%') == std::string_view::npos ? set(environ, path_info, path)
                                                   : set(environ, path_info, unquoted(path)));
} catch (const std::bad_alloc&) {
  PyErr_NoMemory();
  return false;
}

bool Environ::set_fields(PyObject* environ, const narwhal_request& request) const noexcept {
  bool was_chunked = false;
  for (std::uint32_t index = 0; index < request.field_count; ++index) {
    const narwhal_field& field = request.fields[index];
    const HeaderKey key = header_key(view_of(field.name));
    if (key.key == nullptr) return false;
    was_chunked |= key.kind == HeaderKey::Kind::transfer_encoding;
    const bool good = key.kind == HeaderKey::Kind::script_name || key.kind == HeaderKey::Kind::transfer_encoding ||
                      set_field(environ, key, request, field.value);
    if (!key.kept) Py_DECREF(key.key);
    if (!good) return false;
  }
  // A chunked body has been decoded by now, so its length takes the place of its coding: applications that need a
  // length find one (Django), and none decodes the body again (Bottle). A body that still arrives has no length yet.
  // So it is over FastCGI, where the length need not be sent either.
  const bool lacks_length = was_chunked || (request.variable_count != 0 && request.body_size > 0);
  return !lacks_length || request.body_size < 0 ||
         set_new(environ, "CONTENT_LENGTH", PyUnicode_FromFormat("%lld", static_cast<long long>(request.body_size)));
}

// What the web server in front has said over FastCGI, SCGI or uwsgi, and has no place above. The last of a name counts.
bool Environ::set_variables(PyObject* environ, const narwhal_request& request) const noexcept {
  for (std::uint32_t index = request.variable_count; index-- > 0;) {
    const narwhal_field& variable = request.variables[index];
    const std::string_view name = view_of(variable.name);
    if (name.starts_with("wsgi.") || name.starts_with("HTTP_")) continue;
    const Ref key(latin1_text(name)), value(latin1_text(view_of(variable.value)));
    if (!key || !value) return false;
    if (PyDict_SetDefault(environ, key.get(), value.get()) == nullptr) return false;
  }
  return true;
}

PyObject* Environ::make(const narwhal_request& request, PyObject* input, Refusal& refused) const noexcept {
  Ref made(PyDict_Copy(template_.get()));
  PyObject* const environ = made.get();
  if (environ == nullptr) return nullptr;
  const std::string_view scheme = view_of(request.scheme);
  std::string_view name = view_of(request.listener), port = view_of(request.listener_port);
  if (name.empty()) set_server(view_of(request.authority), scheme, name, port);
  if (request.variable_count != 0) {
    name = said(request, "SERVER_NAME", name);
    port = said(request, "SERVER_PORT", port);
  }
  const bool has_port = request.peer.size != 0;
  const bool good =
      set(environ, request_method, view_of(request.method)) && set(environ, query_string, view_of(request.query)) &&
      set(environ, raw_uri, view_of(request.target)) && set(environ, server_protocol, view_of(request.protocol)) &&
      set(environ, url_scheme, scheme) && set(environ, remote_addr, view_of(request.peer)) &&
      (has_port ? set(environ, remote_port, port_text(request.peer_port))
                : PyDict_DelItem(environ, keys[remote_port]) == 0) &&
      set(environ, server_name, name) && set(environ, server_port, port) && set_path(environ, request, refused) &&
      set(environ, wsgi_input, Py_NewRef(input)) && set_fields(environ, request) &&
      (request.variable_count == 0 || set_variables(environ, request));
  return good ? made.release() : nullptr;
}

}  // namespace narwhal::wsgi
