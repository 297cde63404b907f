// Names of CGI variables and of fields. RFC 3875 4.1.18.
// Errors   none but what is returned. Never throws. Stateless.
#pragma once

#include <cstddef>

namespace narwhal::protocol {

// Makes a field name of the part of a CGI variable's after HTTP_, where it lies: ACCEPT_LANGUAGE becomes Accept-Language.
// The same again changes nothing. False: not a token; it may be changed in part. `end` is that of the memory that may be
// written: up to sixteen bytes from the name on keep their value by being written with it.
bool to_field_name(char* name, std::size_t size, const char* end) noexcept;

}  // namespace narwhal::protocol
