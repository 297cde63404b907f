// Strings that many requests need, made once.
// Threads  with the GIL.
#pragma once

#include <cstdint>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// The last value that was seen in one place. The next one is often equal, and is then the same object.
class LastText {
 public:
  // A new reference; null: an exception is set.
  PyObject* of(std::string_view bytes) noexcept {
    if (text_ != nullptr && latin1_view(text_) == bytes) return Py_NewRef(text_);
    PyObject* const fresh = latin1_text(bytes);
    if (fresh != nullptr && bytes.size() <= kept_bytes_max) Py_XSETREF(text_, Py_NewRef(fresh));
    return fresh;
  }
  void clear() noexcept { Py_CLEAR(text_); }

 private:
  static constexpr std::size_t kept_bytes_max = 512;  // longer values rarely come again
  PyObject* text_ = nullptr;
};

// The key that environ has for a header field of one name.
struct HeaderKey {
  enum class Kind : std::uint8_t { http, content_type, content_length, transfer_encoding, script_name };
  PyObject* key = nullptr;  // "HTTP_ACCEPT", interned; "CONTENT_TYPE"
  Kind kind = Kind::http;
  bool kept = false;         // the table owns the key; else the caller owns it
  LastText* last = nullptr;  // the last of its values; null: not kept
};

// `name` as it was sent. A null key: an exception is set.
HeaderKey header_key(std::string_view name) noexcept;
// False: an exception is set.
bool prepare_header_keys() noexcept;
void clear_header_keys() noexcept;

}  // namespace narwhal::wsgi
