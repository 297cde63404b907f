// A Bind as text, for the log and --print-config.
#pragma once

#include <string>
#include <string_view>

#include "core/config.hpp"

namespace narwhal {

// Without options: "127.0.0.1:8000", "[::1]:8000", "unix:/run/x.sock", "fd://3".
std::string address_text(const Bind& bind);
// With its options: the shortest text that the setting `bind` reads as the same Bind. The last '?' begins the options, so
// an address that contains one has another at its end.
std::string bind_text(const Bind& bind);
// The address in such a text.
std::string_view without_options(std::string_view bind_text) noexcept;

// Whether both listen at the same place, whatever their options are.
// As in the settings: bind_text(), after the name of its wire where it has one.
std::string configured_text(const Bind& bind);
// A listener's address as the log shows it, with the wire that it speaks: "fastcgi://127.0.0.1:9000", "unix:/run/app.sock".
std::string shown_address(std::string_view address, Wire wire);
std::string_view wire_name(Wire wire) noexcept;
bool same_address(const Bind& left, const Bind& right);

}  // namespace narwhal
