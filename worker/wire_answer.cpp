#include "worker/wire_answer.hpp"

#include <algorithm>
#include <cstring>

namespace narwhal::worker {

namespace {

namespace fastcgi = protocol::fastcgi;

constexpr std::size_t records_for(std::size_t bytes) noexcept {
  return (bytes + fastcgi::content_bytes_max - 1) / fastcgi::content_bytes_max;
}

// `size` bytes lie at out + header_bytes: they become records of STDOUT, from the last one on, so that none is overwritten.
std::size_t put_into_records(std::uint16_t request, std::size_t size, char* out) noexcept {
  const std::size_t records = records_for(size);
  for (std::size_t record = records; record-- > 0;) {
    const std::size_t from = record * fastcgi::content_bytes_max;
    const std::size_t content = std::min(size - from, fastcgi::content_bytes_max);
    char* const at = out + from + record * fastcgi::header_bytes;
    if (record != 0) std::memmove(at + fastcgi::header_bytes, out + fastcgi::header_bytes + from, content);
    fastcgi::encode_header(fastcgi::Type::standard_out, request, content, at);
  }
  return size + records * fastcgi::header_bytes;
}

}  // namespace

std::size_t head_bound(WireId id, const protocol::ResponseHead& head) noexcept {
  const std::size_t bound = protocol::response_head_bound(head);
  return id.is_fastcgi() ? bound + (records_for(bound) + 1) * fastcgi::header_bytes : bound;
}

EncodedHead encode_gateway_head(WireId id, const protocol::ResponseHead& head, char* out) noexcept {
  if (id.wire == Wire::scgi) return {protocol::encode_cgi_head(head, out), 0};
  if (id.wire == Wire::uwsgi) return {protocol::encode_uwsgi_head(head, out), 0};
  const std::size_t size = protocol::encode_cgi_head(head, out + fastcgi::header_bytes);
  return {put_into_records(id.request, size, out), fastcgi::header_bytes};
}

std::size_t plain_bound(WireId id, const protocol::ResponseHead& head, std::string_view text) noexcept {
  return head_bound(id, head) + fastcgi::header_bytes + text.size() + 1 + fastcgi::end_bytes_max;
}

std::size_t encode_plain(WireId id, const protocol::ResponseHead& head, std::string_view text, char* out) noexcept {
  char* at = out + encode_head(id, head, out).size;
  if (!text.empty()) {
    if (id.is_fastcgi()) {
      fastcgi::encode_header(fastcgi::Type::standard_out, id.request, text.size() + 1, at);
      at += fastcgi::header_bytes;
    }
    at += text.copy(at, text.size());
    *at++ = '\n';
  }
  if (id.is_fastcgi()) at += fastcgi::encode_end({.id = id.request}, at);
  return static_cast<std::size_t>(at - out);
}

}  // namespace narwhal::worker
