// FastCGI 1.0 records: their header, and those that an application sends. Values in, bytes out.
// Streams    STDOUT and STDERR are any number of records with content and one without, which ends the stream. A body is never
//            copied: the header of each record is given alone, to be sent before its content.
// Padding    none is written: the specification recommends it and requires none.
// Numbers    of 16 and 32 bits, the highest byte first.
// Errors     none. Never throws. No allocation: the caller gives the room.
// Threads    none.
// Source     https://fastcgi-archives.github.io/FastCGI_Specification.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace narwhal::protocol::fastcgi {

enum class Type : std::uint8_t {
  begin_request = 1,
  abort_request,
  end_request,
  params,
  standard_in,
  standard_out,
  standard_error,
  data,
  get_values,
  get_values_result,
  unknown_type,
};
constexpr std::uint8_t version = 1;
constexpr std::uint16_t responder = 1;       // the role that a web application has
constexpr std::uint8_t keep_connection = 1;  // a flag of BEGIN_REQUEST
constexpr std::uint16_t no_request = 0;      // the id of management records

enum class ProtocolStatus : std::uint8_t { request_complete, cannot_multiplex, overloaded, unknown_role };

constexpr std::size_t header_bytes = 8;
constexpr std::size_t content_bytes_max = 65535;

struct Header {
  std::uint8_t version = 0;
  std::uint8_t type = 0;  // of Type, or unknown
  std::uint16_t id = 0;
  std::uint16_t content = 0;  // bytes that follow the header
  std::uint8_t padding = 0;   // bytes that follow the content
};
// `at` are header_bytes.
Header decode_header(const char* at) noexcept;
void encode_header(Type type, std::uint16_t id, std::size_t content, char* out) noexcept;

// What the next record of a stream takes of `left` bytes, `left` not 0: they follow the header, written to `out`.
std::size_t encode_stream_header(Type stream, std::uint16_t id, std::uint64_t left, char* out) noexcept;

// The end of an answer: the end of STDOUT, END_REQUEST.
struct End {
  std::uint16_t id = 0;
  std::uint32_t application_status = 0;  // as an exit code: not 0 when the answer is not whole
  ProtocolStatus protocol_status = ProtocolStatus::request_complete;
};
constexpr std::size_t end_bytes_max = 24;
std::size_t encode_end(const End& end, char* out) noexcept;

// END_REQUEST alone: for a request that was never taken, or an answer whose STDOUT has not come to its end.
constexpr std::size_t end_request_bytes = 16;
void encode_end_request(const End& end, char* out) noexcept;

// The header of a record of STDOUT after which the connection has to end. Every web server sees an error in it: some in its
// version, which is 0, the others in its content, which does not come.
void encode_broken_header(std::uint16_t id, char* out) noexcept;

constexpr std::size_t unknown_type_bytes = 16;
void encode_unknown_type(std::uint8_t type, char* out) noexcept;

// ---- GET_VALUES ----

// What a web server may ask for. This server takes one request at a time on each connection, so FCGI_MPXS_CONNS is 0.
struct Capacity {
  std::uint32_t connections_max = 1;  // FCGI_MAX_CONNS
  std::uint32_t requests_max = 1;     // FCGI_MAX_REQS
};
constexpr unsigned asks_connections = 1, asks_requests = 2, asks_multiplexing = 4;  // one bit for each name
constexpr std::string_view value_names[] = {"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"};
constexpr std::size_t value_name_bytes_max = 15;
constexpr std::size_t values_result_bytes_max = header_bytes + 3 * (2 + value_name_bytes_max + 10);
// GET_VALUES_RESULT with those of the names whose bits are set.
std::size_t encode_values_result(unsigned asked, const Capacity& capacity, char* out) noexcept;

}  // namespace narwhal::protocol::fastcgi
