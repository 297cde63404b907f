// PEP 3333's response headers, [(name, value), ...], as fields of the ABI: views of Python's own strings.
// Ownership  holds a reference to each pair, so the views live as long as this or until clear().
#pragma once

#include <vector>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

class HeaderFields {
 public:
  HeaderFields() = default;
  HeaderFields(const HeaderFields&) = delete;
  HeaderFields& operator=(const HeaderFields&) = delete;
  ~HeaderFields() { clear(); }

  // False: an exception is set, and no reference is held.
  bool take(PyObject* headers) noexcept;
  void clear() noexcept;

  const narwhal_field* data() const noexcept { return fields_.data(); }
  std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(fields_.size()); }
  // The value of Content-Length; -1 when there is none.
  std::int64_t content_length() const noexcept { return content_length_; }

 private:
  bool take_pair(PyObject* pair);

  std::vector<narwhal_field> fields_;
  std::vector<PyObject*> pairs_;
  std::int64_t content_length_ = -1;
};

}  // namespace narwhal::wsgi
