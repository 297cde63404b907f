#include "protocol/proxy_header.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/characters.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::string_view v1_signature = "PROXY ";
constexpr std::string_view v2_signature("\r\n\r\n\0\r\nQUIT\n", 12);

// Version 2 after its signature: version and command, family and transport, length of the rest.
constexpr std::size_t v2_fixed_bytes = 16;
constexpr unsigned command_local = 0x20, command_proxy = 0x21;
constexpr unsigned unspecified = 0x00, tcp4 = 0x11, tcp6 = 0x21, unix_stream = 0x31;

ProxyFed refused(const char* fault) noexcept {
  ProxyFed fed;
  fed.status = Status::refused;
  fed.fault = fault;
  return fed;
}

ProxyFed complete(std::size_t consumed) noexcept {
  ProxyFed fed;
  fed.status = Status::complete;
  fed.consumed = consumed;
  return fed;
}

Likeness like(std::string_view bytes, std::string_view signature) noexcept {
  const std::size_t there = std::min(bytes.size(), signature.size());
  if (bytes.substr(0, there) != signature.substr(0, there)) return Likeness::no;
  return there == signature.size() ? Likeness::yes : Likeness::maybe;
}

// ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" ----

// The text before the next blank, which is taken off with it; all there is when none is left.
std::string_view take_part(std::string_view& line) noexcept {
  const std::string_view part = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), part.size() + 1));
  return part;
}

bool read_port(std::string_view text, std::uint16_t& port) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  if (!all(text, bytes::digit)) return false;
  unsigned number = 0;
  for (const char c : text) number = number * 10 + static_cast<unsigned>(c - '0');
  port = static_cast<std::uint16_t>(number);
  return number <= 0xffff;
}

bool read_address(std::string_view text, bool v6, IpAddress& address) noexcept {
  const auto parsed = IpAddress::parse(text);
  if (!parsed || (text.find(':') != std::string_view::npos) != v6) return false;
  address = *parsed;
  return true;
}

ProxyFed decode_line(std::string_view line) noexcept {
  ProxyFed fed = complete(v1_signature.size() + line.size() + 2);
  if (line.find('\r') != std::string_view::npos) return refused("CR in the PROXY line");
  const bool last_is_blank = line.ends_with(' ');
  const std::string_view family = take_part(line);
  if (family == "UNKNOWN") return fed;  // what follows it is to be ignored
  if (family != "TCP4" && family != "TCP6") return refused("PROXY line of an unknown family");
  const bool v6 = family == "TCP6";
  IpAddress destination;
  std::uint16_t destination_port = 0;
  if (!read_address(take_part(line), v6, fed.source) || !read_address(take_part(line), v6, destination)) {
    return refused("PROXY line with a malformed address");
  }
  const bool ports = read_port(take_part(line), fed.port) && read_port(take_part(line), destination_port);
  if (!ports || !line.empty() || last_is_blank) return refused("PROXY line with a malformed port");
  fed.names_source = true;
  return fed;
}

ProxyFed decode_v1(std::string_view bytes) noexcept {
  const std::string_view bounded = bytes.substr(0, proxy_line_bytes_max);
  const std::size_t end = bounded.find('\n');
  if (end == std::string_view::npos) {
    return bounded.size() == proxy_line_bytes_max ? refused("PROXY line too long") : ProxyFed{};
  }
  if (bounded[end - 1] != '\r') return refused("PROXY line that ends without CR");
  return decode_line(bounded.substr(v1_signature.size(), end - 1 - v1_signature.size()));
}

// ---- version 2 ----

unsigned byte_at(std::string_view bytes, std::size_t at) noexcept { return static_cast<unsigned char>(bytes[at]); }

unsigned number_at(std::string_view bytes, std::size_t at) noexcept {
  return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

// Source, destination, their ports.
ProxyFed with_source(ProxyFed fed, std::string_view addresses, std::size_t address_bytes) noexcept {
  if (addresses.size() < 2 * address_bytes + 4) return refused("PROXY header too short for its addresses");
  IpAddress& source = fed.source;
  if (address_bytes == 4) source.bytes[10] = source.bytes[11] = 0xff;  // IPv4 lies mapped
  std::memcpy(source.bytes.data() + source.bytes.size() - address_bytes, addresses.data(), address_bytes);
  fed.port = static_cast<std::uint16_t>(number_at(addresses, 2 * address_bytes));
  fed.names_source = true;
  return fed;
}

ProxyFed decode_v2(std::string_view bytes) noexcept {
  constexpr std::size_t unix_addresses_bytes = 216;
  if (bytes.size() < v2_fixed_bytes) return {};
  const unsigned command = byte_at(bytes, 12);
  const std::size_t size = v2_fixed_bytes + number_at(bytes, 14);
  if (command >> 4 != 2) return refused("PROXY header of an unknown version");
  if (command != command_local && command != command_proxy) return refused("PROXY header with an unknown command");
  if (size > proxy_header_bytes_max) return refused("PROXY header too long");
  if (bytes.size() < size) return {};
  const ProxyFed fed = complete(size);
  if (command == command_local) return fed;  // the proxy's own, a health check as a rule
  const std::string_view addresses = bytes.substr(v2_fixed_bytes, size - v2_fixed_bytes);
  switch (byte_at(bytes, 13)) {
    case unspecified: return fed;
    case tcp4: return with_source(fed, addresses, 4);
    case tcp6: return with_source(fed, addresses, 16);
    case unix_stream:
      return addresses.size() < unix_addresses_bytes ? refused("PROXY header too short for its addresses") : fed;
    default: return refused("PROXY header of an unknown family or transport");
  }
}

}  // namespace

Likeness like_proxy_header(std::string_view bytes) noexcept {
  return std::max(like(bytes, v1_signature), like(bytes, v2_signature));
}

ProxyFed decode_proxy_header(std::string_view bytes, ProxyVersions accepted) noexcept {
  const Likeness v1 = accepted.v1 ? like(bytes, v1_signature) : Likeness::no;
  const Likeness v2 = accepted.v2 ? like(bytes, v2_signature) : Likeness::no;
  if (v1 == Likeness::yes) return decode_v1(bytes);
  if (v2 == Likeness::yes) return decode_v2(bytes);
  if (v1 == Likeness::maybe || v2 == Likeness::maybe) return {};
  if (!accepted.v1) return refused("no PROXY header of version 2");
  if (!accepted.v2) return refused("no PROXY header of version 1");
  return refused("no PROXY header");
}

}  // namespace narwhal::protocol
