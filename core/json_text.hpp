// JSON strings (RFC 8259) of any bytes.
#pragma once

#include <string>
#include <string_view>

namespace narwhal {

// Appends `bytes` as a string in quotes. Control characters are escaped; each byte that is not part of valid UTF-8 becomes
// U+FFFD. So a line of JSON stays one line that every reader accepts.
void append_json_string(std::string& output, std::string_view bytes);

}  // namespace narwhal
