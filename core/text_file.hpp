// A small text file as a whole. A path that an operator gives may lead to anything: what is not a regular file is refused
// without waiting, and no more is read than one byte over the limit.
// Threads  any.
#pragma once

#include <cstddef>
#include <string>

#include "core/result.hpp"

namespace narwhal {

struct FileText {
  bool found = false;
  std::string text;  // with more bytes than the limit: the file is too large
};

// A missing file is `found == false`; any other failure is an Error.
Result<FileText> read_text_file(const std::string& path, std::size_t bytes_max);

}  // namespace narwhal
