#include "protocol/http1_target.hpp"

#include "protocol/characters.hpp"
#include "protocol/request_rules.hpp"

namespace narwhal::protocol {
namespace {

Refusal refuse_version(std::string_view version) noexcept {
  const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") && is(version[5], bytes::digit) &&
                           version[6] == '.' && is(version[7], bytes::digit);
  if (!well_formed) return {400, "malformed version"};
  return {505, "version is not HTTP/1.0 or HTTP/1.1"};
}

// Why a line could not be cut: the method first, then the version, as for one that could.
Refusal refuse_line(std::string_view line) noexcept {
  if (line.empty()) return {400, "too many empty lines before the request"};
  const std::size_t space = line.find(' ');
  if (space == 0 || !all(line.substr(0, space), bytes::token)) return {400, "malformed method"};
  if (space == std::string_view::npos) return {400, "request line without a target and a version"};
  const std::string_view rest = line.substr(space);
  const std::size_t last_space = rest.rfind(' ');
  if (last_space == 0) return {400, "request line without a version"};
  const std::string_view version = rest.substr(last_space + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return refuse_version(version);
  return {400, last_space == 1 ? "empty target" : "malformed target"};
}

}  // namespace

Refusal judge_request_line(const HeadCut& cut, std::string_view line, Head& head) noexcept {
  if (!cut.line) return refuse_line(line);
  head.method = cut.method;
  head.is_head = cut.method.view() == "HEAD";
  head.minor = cut.minor;
  if (const Refusal refusal = judge_target(cut.target, head)) return refusal;
  // Those that llhttp knows are all short and in capitals.
  if (cut.copied && (cut.method.size > method_bytes_max || !all(cut.method, bytes::method))) {
    return {501, "unknown method"};
  }
  return {};
}

}  // namespace narwhal::protocol
