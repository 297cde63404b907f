// Requests as a web server writes them over FastCGI, SCGI and uwsgi, by hand, with nothing of the product.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal::wire {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline std::string byte(std::size_t number) { return std::string(1, static_cast<char>(number & 0xff)); }
inline std::string big_endian_16(std::size_t number) { return byte(number >> 8) + byte(number); }
inline std::string little_endian_16(std::size_t number) { return byte(number) + byte(number >> 8); }

// ---- uwsgi ----

inline std::string uwsgi_block(const Pairs& pairs) {
  std::string block;
  for (const auto& [name, value] : pairs) {
    block += little_endian_16(name.size()) + name + little_endian_16(value.size()) + value;
  }
  return block;
}

inline std::string uwsgi_packet(const std::string& block, std::size_t modifier1 = 0, std::size_t modifier2 = 0) {
  return byte(modifier1) + little_endian_16(block.size()) + byte(modifier2) + block;
}

inline std::string uwsgi_packet(const Pairs& pairs) { return uwsgi_packet(uwsgi_block(pairs)); }

// ---- SCGI ----

inline std::string netstring(const std::string& content) {
  return std::to_string(content.size()) + ":" + content + ",";
}

inline std::string scgi_block(const Pairs& pairs) {
  std::string block;
  for (const auto& [name, value] : pairs) block += name + '\0' + value + '\0';
  return block;
}

// CONTENT_LENGTH and SCGI have to be among them.
inline std::string scgi_head(const Pairs& pairs) { return netstring(scgi_block(pairs)); }

// ---- FastCGI ----

constexpr std::size_t fcgi_begin = 1, fcgi_abort = 2, fcgi_end = 3, fcgi_params = 4, fcgi_stdin = 5, fcgi_stdout = 6,
                      fcgi_data = 8, fcgi_get_values = 9, fcgi_get_values_result = 10, fcgi_unknown_type = 11;

inline std::string fcgi_record(std::size_t type, std::size_t id, const std::string& content = "",
                               std::size_t padding = 0) {
  return byte(1) + byte(type) + big_endian_16(id) + big_endian_16(content.size()) + byte(padding) + byte(0) + content +
         std::string(padding, 'p');
}

inline std::string fcgi_begin_request(std::size_t id, std::size_t flags = 1, std::size_t role = 1) {
  return fcgi_record(fcgi_begin, id, big_endian_16(role) + byte(flags) + std::string(5, '\0'));
}

inline std::string fcgi_length(std::size_t size, bool four_bytes) {
  if (size < 0x80 && !four_bytes) return byte(size);
  return byte(size >> 24 | 0x80) + byte(size >> 16) + byte(size >> 8) + byte(size);
}

inline std::string fcgi_pairs(const Pairs& pairs, bool four_bytes = false) {
  std::string text;
  for (const auto& [name, value] : pairs) {
    text += fcgi_length(name.size(), four_bytes) + fcgi_length(value.size(), four_bytes) + name + value;
  }
  return text;
}

// In records of at most so many bytes.
inline std::string fcgi_stream(std::size_t type, std::size_t id, std::string_view content, std::size_t at_most = 65535,
                               std::size_t padding = 0) {
  std::string records;
  for (; !content.empty(); content.remove_prefix(std::min(at_most, content.size()))) {
    records += fcgi_record(type, id, std::string(content.substr(0, at_most)), padding);
  }
  return records + fcgi_record(type, id, "", padding);
}

// BEGIN_REQUEST, PARAMS and STDIN.
inline std::string fcgi_request(std::size_t id, const Pairs& pairs, std::string_view body = {}, std::size_t flags = 1) {
  return fcgi_begin_request(id, flags) + fcgi_stream(fcgi_params, id, fcgi_pairs(pairs)) +
         fcgi_stream(fcgi_stdin, id, body);
}

}  // namespace narwhal::wire
