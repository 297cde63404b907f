// wsgi.file_wrapper(filelike, blksize=8192): a response made from a file, with what Gunicorn's FileWrapper has: [],
// iteration, filelike, blksize, close(), and attributes of the application's own.
// sendfile(2) replaces read() only where both certainly give the same bytes.
#pragma once

#include <cstdint>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

bool prepare_file_wrapper_type() noexcept;  // once in a process
PyObject* file_wrapper_type() noexcept;     // borrowed

// `object` is exactly a file_wrapper that was not iterated yet.
bool is_whole_file(PyObject* object) noexcept;

// Part of an open regular file. The descriptor is the file object's.
struct FilePart {
  int descriptor;
  std::int64_t offset;
  std::int64_t size;
};
// For a whole file: what its read() would give from its own position on, if it is a plain file that has these bytes on
// its device. False, and no exception, for every other object: it is to be read.
bool find_part(PyObject* wrapper, FilePart& part) noexcept;
// From now on find_part() returns false: sendfile(2) does not suit every file system.
void read_all_files() noexcept;
// The next block of a whole file, of at most `most` bytes where that is not negative. Null: an exception is set.
Ref read_block(PyObject* wrapper, std::int64_t most) noexcept;

}  // namespace narwhal::wsgi
