// Strings that requests have in common, made once.
// Threads  with the GIL.
#pragma once

#include <cstdint>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// The last value seen in one place: the next one is often the same, and then it is the same object.
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
  static constexpr std::size_t kept_bytes_max = 512;  // what is longer rarely comes again, and need not be held
  PyObject* text_ = nullptr;
};

// What environ calls a header field of this name.
struct HeaderKey {
  enum class Kind : std::uint8_t { http, content_type, content_length, transfer_encoding, script_name };
  PyObject* key = nullptr;  // "HTTP_ACCEPT", interned; "CONTENT_TYPE"
  Kind kind = Kind::http;
  bool kept = false;         // in the table; else the caller gives the key back
  LastText* last = nullptr;  // of its values; null: not kept
};

// By the name as it was sent. key null: an exception is set.
HeaderKey header_key(std::string_view name) noexcept;
// False: an exception is set.
bool prepare_header_keys() noexcept;
void clear_header_keys() noexcept;

}  // namespace narwhal::wsgi
