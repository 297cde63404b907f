#include "protocol/fastcgi_records.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace narwhal::protocol::fastcgi {
namespace {

// Records of this much content end where the next header is aligned, without padding.
constexpr std::size_t stream_content_max = content_bytes_max / 8 * 8;
constexpr std::size_t body_bytes = 8;  // of END_REQUEST and UNKNOWN_TYPE

constexpr unsigned byte_of(char c) noexcept { return static_cast<unsigned char>(c); }
constexpr char low_byte(std::uint64_t number) noexcept { return static_cast<char>(number & 0xff); }

// A name and a value below 128 bytes, whose lengths take one byte each.
char* put_pair(char* out, std::string_view name, std::uint32_t number) noexcept {
  char digits[10];
  char* begin = std::end(digits);
  do {
    *--begin = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  const auto size = static_cast<std::size_t>(std::end(digits) - begin);
  *out++ = low_byte(name.size());
  *out++ = low_byte(size);
  std::memcpy(out, name.data(), name.size());
  std::memcpy(out + name.size(), begin, size);
  return out + name.size() + size;
}

}  // namespace

Header decode_header(const char* at) noexcept {
  Header header;
  header.version = static_cast<std::uint8_t>(at[0]);
  header.type = static_cast<std::uint8_t>(at[1]);
  header.id = static_cast<std::uint16_t>(byte_of(at[2]) << 8 | byte_of(at[3]));
  header.content = static_cast<std::uint16_t>(byte_of(at[4]) << 8 | byte_of(at[5]));
  header.padding = static_cast<std::uint8_t>(at[6]);
  return header;
}

void encode_header(Type type, std::uint16_t id, std::size_t content, char* out) noexcept {
  out[0] = static_cast<char>(version);
  out[1] = static_cast<char>(type);
  out[2] = low_byte(id >> 8);
  out[3] = low_byte(id);
  out[4] = low_byte(content >> 8);
  out[5] = low_byte(content);
  out[6] = 0;  // padding
  out[7] = 0;  // reserved
}

std::size_t encode_stream_header(Type stream, std::uint16_t id, std::uint64_t left, char* out) noexcept {
  const auto content = static_cast<std::size_t>(std::min<std::uint64_t>(left, stream_content_max));
  encode_header(stream, id, content, out);
  return content;
}

void encode_end_request(const End& end, char* out) noexcept {
  encode_header(Type::end_request, end.id, body_bytes, out);
  char* const body = out + header_bytes;
  std::memset(body, 0, body_bytes);
  for (unsigned at = 0; at < 4; ++at) body[at] = low_byte(end.application_status >> (24 - 8 * at));
  body[4] = static_cast<char>(end.protocol_status);
}

std::size_t encode_end(const End& end, char* out) noexcept {
  char* at = out;
  encode_header(Type::standard_out, end.id, 0, at);
  at += header_bytes;
  encode_end_request(end, at);
  return static_cast<std::size_t>(at - out) + end_request_bytes;
}

void encode_broken_header(std::uint16_t id, char* out) noexcept {
  encode_header(Type::standard_out, id, content_bytes_max, out);
  out[0] = 0;
}

void encode_unknown_type(std::uint8_t type, char* out) noexcept {
  encode_header(Type::unknown_type, no_request, body_bytes, out);
  std::memset(out + header_bytes, 0, body_bytes);
  out[header_bytes] = static_cast<char>(type);
}

std::size_t encode_values_result(unsigned asked, const Capacity& capacity, char* out) noexcept {
  const std::uint32_t values[] = {capacity.connections_max, capacity.requests_max, 0};
  char* at = out + header_bytes;
  for (unsigned each = 0; each < std::size(values); ++each) {
    if ((asked >> each & 1u) != 0) at = put_pair(at, value_names[each], values[each]);
  }
  const auto size = static_cast<std::size_t>(at - out);
  encode_header(Type::get_values_result, no_request, size - header_bytes, out);
  return size;
}

}  // namespace narwhal::protocol::fastcgi
