// CGI variables, in which a web server says over FastCGI, SCGI and uwsgi what a request is: variables in, one Head out.
// RFC 3875 4.1. The three decoders cut the variables, and give them here one by one.
// Method, target  REQUEST_METHOD and REQUEST_URI, under the rules of every wire (request_rules.hpp). Without REQUEST_URI, or
//             with an empty one, the target is made of SCRIPT_NAME, PATH_INFO and QUERY_STRING, escaped again. A web server
//             that rewrites paths for the application has to leave REQUEST_URI out or rewrite it too.
// Version     SERVER_PROTOCOL: HTTP/1.0 is that; HTTP/1.1 and later, and none, are HTTP/1.1.
// Scheme      https where HTTPS is "on" or "1", or REQUEST_SCHEME (or UWSGI_SCHEME) is "https"; http where one of them says
//             otherwise; else the target's, or none.
// Authority   that of an absolute target, else HTTP_HOST, else SERVER_NAME with SERVER_PORT where the two are a host and a port.
// Fields      HTTP_ACCEPT_LANGUAGE is the field Accept-Language: each underscore is a hyphen, and letters after the first of
//             each part are in lower case. The name is rewritten where it lies. Several of one name are several lines of it;
//             a second HTTP_HOST is refused. CONTENT_TYPE and CONTENT_LENGTH are fields where they are not empty.
//             Left out: HTTP_CONTENT_TYPE and HTTP_CONTENT_LENGTH, which some web servers send beside the two (a length that
//             differs is refused); HTTP_TRANSFER_ENCODING, because the body has none here; HTTP_PROXY, which programs
//             take for a setting.
// Length      CONTENT_LENGTH: digits, below 2^63, or empty, which is the same as none. A second one has to be equal.
// Prefix      SCRIPT_NAME is where the web server has mounted the application, if PATH_INFO is not empty. The path has to begin
//             with it. Many send the whole path as SCRIPT_NAME, and PATH_INFO empty or not at all: there it is not a prefix.
// Client      REMOTE_ADDR and REMOTE_PORT, where they are an address and a port ("unix:" is neither).
// The rest    every variable but HTTP_* stays in CgiRequest::variables, in order and as sent, those above included: that is
//             where REMOTE_USER, DOCUMENT_ROOT, SSL_CLIENT_S_DN and what an operator adds are found by name. Of several of one
//             name the last counts, because that is how operators override what an included file sets.
// Bytes       CR, LF, NUL and other control bytes but HTAB refuse a field, CONTENT_TYPE and REMOTE_USER. PATH_INFO and
//             SCRIPT_NAME are decoded, so they may hold any byte but NUL, and are escaped. So may what is not mapped:
//             certificates have lines.
// Bounds      those of HeadLimits, as for HTTP/1, and variables_max.
// Ownership   every view points into the bytes given, into CgiRequest::made, or at a literal. Lists keep their memory.
// Refused     a request without REQUEST_METHOD; what request_rules.hpp refuses; what is said above; 404: a path that is not under
//             its prefix.
// Errors      as a Refusal, whose fault is a literal. Throws for want of memory alone.
// Threads     none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/ip_ranges.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

constexpr std::size_t variables_max = 1000;  // Gunicorn's limit; more: 431

// What the variables say and a Head has no place for.
struct CgiRequest {
  std::vector<Field> variables;
  Bytes prefix;                 // SCRIPT_NAME, decoded and without a slash at its end; empty: none
  std::size_t prefix_size = 0;  // bytes of Head::path that spell it
  bool names_remote = false;    // false: `remote` and `remote_port` are not known
  std::uint16_t remote_port = 0;
  IpAddress remote;
  std::vector<char> made;  // a target or an authority that had to be put together

  // The last of this name, HTTP_* aside; data is null when absent.
  Bytes variable(std::string_view name) const noexcept;
};

// What a decoder makes of the bytes of a head that says at its start how long it is.
struct CgiFed {
  Status status = Status::need_more;
  std::size_t consumed = 0;  // complete: bytes of the head; a body follows
  std::size_t needed = 0;    // need_more: at least so many bytes are missing
  Refusal refusal;           // refused: 400, 404, 414, 431, 501 or 505
};

// One use for each request: add() all, then finish().
class CgiVariables {
 public:
  // Each name and value that is added lies in `bytes`, which stay where they are for as long as `head` is used. The others
  // outlive it.
  CgiVariables(std::span<char> bytes, const HeadLimits& limits, Head& head, CgiRequest& request) noexcept;
  // A refusal is final. The head is as after one of finish().
  Refusal add(std::span<char> name, std::string_view value);
  // Sets every member of the Head but keep_alive, which the wire knows. Framing::length, or none. After a refusal the Head
  // has no fields; its method and target are there where they are sound, else empty, and is_head is true where the method
  // is HEAD, for the log and the answer.
  Refusal finish();

 private:
  Refusal add_any(std::span<char> name, std::string_view value);
  Refusal add_field(std::span<char> name, std::string_view value);
  Refusal judge();
  Refusal judge_request();
  Refusal judge_host() noexcept;
  Refusal add_content_fields();
  Refusal judge_method() noexcept;
  Refusal judge_version() noexcept;
  Refusal judge_size() const noexcept;
  Refusal judge_prefix() noexcept;
  Bytes make_missing();
  bool is_secure() const noexcept;
  void set_scheme() noexcept;
  void set_remote() noexcept;
  void note_names() noexcept;
  Bytes* known(std::string_view name) noexcept;

  const char* const begin_;
  const char* const end_;
  const HeadLimits& limits_;
  Head& head_;
  CgiRequest& request_;
  std::size_t count_ = 0;
  bool fields_too_large_ = false;
  // What is known by name; data is null until it was added.
  Bytes method_, target_, protocol_, query_, script_, path_info_, https_, scheme_, length_, type_;
  Bytes address_, port_, user_, server_name_, server_port_;
  Bytes host_, client_length_, client_type_;  // of HTTP_*
};

}  // namespace narwhal::protocol
