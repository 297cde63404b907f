// Values that records are made of.
// Threads  any.
#pragma once

#include <string>
#include <string_view>

namespace hbnb {

std::string new_id();    // a UUID of version 4 (RFC 9562 5.4), by the kernel's random numbers
std::string time_now();  // UTC: "2026-11-30T11:20:00.123456"

// "pbkdf2:sha256:ROUNDS$SALT$HEX", as Werkzeug writes and checks it: PBKDF2 (RFC 8018 5.2) with HMAC-SHA-256. It takes a
// good part of a second of processor time, on purpose.
std::string hash_password(std::string_view password);

}  // namespace hbnb
