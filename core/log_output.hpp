// LogOutput: where the lines of a log go, and how they are written so that a reader that has stopped delays nobody.
//   file      write(2): it waits for no reader. A full disk is an error at once; a file server that hangs is not.
//   own       a pipe, FIFO or terminal by a non-blocking open file description that is the log's own. O_NONBLOCK belongs to
//             the description: setting it on standard error would change that of our caller, and of what plugins print.
//   socket    send(2) with MSG_DONTWAIT, for instance to the journal.
//   pipe      another user's pipe, which cannot be opened again: splice(2), which has a flag for each call.
//   terminal  the same for a terminal: poll(2) comes first.
// Threads  any; write_now() also in signal handlers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal {

// Aligned to its size: a std::atomic of it needs no lock, and no libatomic with Clang.
struct alignas(8) LogOutput {
  enum class Kind : std::uint16_t { file, own, socket, pipe, terminal };
  int fd = -1;
  Kind kind = Kind::file;
  bool is_journal = false;  // standard error is the stream that JOURNAL_STREAM names

  // For as long as the descriptor means the same file.
  static LogOutput of(int fd) noexcept;
  bool has_reader() const noexcept { return kind != Kind::file; }
};

// A file that lines are appended to. Does not wait for the reader of a FIFO, now or later.
Result<Fd> open_log_file(const std::string& path);
// The same pipe, FIFO or terminal by a description of its own; none where that is not needed or not possible.
Fd open_own_description(int fd) noexcept;
// Makes `stream` go where `fd` goes. It waits when it is written to, as programs expect of their standard streams.
bool redirect_stream(int stream, int fd) noexcept;

// Some of `bytes`, without waiting. -1 and errno, EAGAIN if the reader takes none now.
ssize_t write_now(LogOutput output, std::string_view bytes) noexcept;
// Whether a line that any process has cut off is at the end of the file; none: it cannot be read.
std::optional<bool> ends_in_a_cut_line(LogOutput output) noexcept;

}  // namespace narwhal
