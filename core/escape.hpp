// Makes text from outside safe to print: no control byte reaches a terminal or begins a new line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace narwhal {

// Appends `text` with \t, \n, \r by name and every other byte below 0x20, and 0x7f, as \xHH. Backslashes stay, so that
// escaping twice changes nothing; bytes from 0x80 stay, so that UTF-8 stays readable.
// Appends at most `bytes_max` bytes; false if `text` did not fit.
bool append_escaped(std::string& output, std::string_view text, std::size_t bytes_max = std::string::npos);

}  // namespace narwhal
