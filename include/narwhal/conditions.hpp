// Conditional requests: whether the client has the newest version already, or would change one that it has not seen.
//   const narwhal::Validators now{.etag = "\"v42\""};
//   if (const int status = narwhal::check_conditions(request, now)) {
//     return narwhal::with_validators(narwhal::Response(status), now);
//   }
// Ownership  values.
// Errors     a field that cannot be read is ignored where the RFC allows it, else it does not match.
// Threads    any.
// Source     RFC 9110 8.8 (validators), 13.1 (fields), 13.2.2 (their order).
#pragma once

#include <narwhal/http_date.hpp>
#include <narwhal/response.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace narwhal {

struct Validators {
  std::string etag = "";  // with its quotes: "\"v42\"", or weak "W/\"v42\""; empty: none
  std::optional<std::int64_t> last_modified = std::nullopt;  // seconds since 1970
};

namespace detail {

inline std::string_view opaque_tag(std::string_view etag) noexcept {
  return etag.starts_with("W/") ? etag.substr(2) : etag;
}
inline bool same_tag(std::string_view left, std::string_view right, bool strong) noexcept {
  if (strong && (left.starts_with("W/") || right.starts_with("W/"))) return false;
  return !left.empty() && opaque_tag(left) == opaque_tag(right);
}

// Takes the next entity tag off the list; empty at its end, and where it cannot be read. A tag may have commas.
inline std::string_view next_tag(std::string_view& list) noexcept {
  while (!list.empty() && (list.front() == ',' || list.front() == ' ' || list.front() == '\t')) list.remove_prefix(1);
  const std::size_t quote = list.starts_with("W/") ? 2 : 0;
  const std::size_t end = list.size() > quote && list[quote] == '"' ? list.find('"', quote + 1) : list.npos;
  const std::string_view tag = end == list.npos ? std::string_view() : list.substr(0, end + 1);
  list.remove_prefix(tag.size());
  return tag;
}

}  // namespace detail

// Whether one of the tags in a field such as If-None-Match is `etag`; "*" is any. The strong comparison (RFC 9110
// 8.8.3.2) never matches a weak tag.
inline bool lists_tag(std::string_view field, std::string_view etag, bool strong) noexcept {
  if (field == "*") return true;
  for (std::string_view tag = detail::next_tag(field); !tag.empty(); tag = detail::next_tag(field)) {
    if (detail::same_tag(tag, etag, strong)) return true;
  }
  return false;
}

// 0: go on. 304: the client has this version already. 412: it asks for another one than there is. A resource without
// the validator that a field is about does not match it.
inline int check_conditions(const Request& request, const Validators& now) {
  const RequestHeaders headers = request.headers();
  const auto any_lists = [&](std::string_view name, bool strong) {  // the field may come in several lines
    for (const std::string_view value : headers.all(name)) {
      if (lists_tag(value, now.etag, strong)) return true;
    }
    return false;
  };
  const auto changed_since = [&](std::string_view date, bool otherwise) {
    const std::optional<std::int64_t> seconds = parse_http_date(date);
    return seconds && now.last_modified ? *now.last_modified > *seconds : otherwise;
  };
  if (headers.find("If-Match")) {
    if (!any_lists("If-Match", true)) return 412;
  } else if (const auto date = headers.find("If-Unmodified-Since")) {
    if (changed_since(*date, false)) return 412;
  }
  const bool reads = request.method() == "GET" || request.method() == "HEAD";
  if (headers.find("If-None-Match")) {
    if (any_lists("If-None-Match", false)) return reads ? 304 : 412;
  } else if (const auto date = headers.find("If-Modified-Since"); date && reads) {
    if (!changed_since(*date, true)) return 304;
  }
  return 0;
}

// Whether a Range may be honoured: there is no If-Range, or it names this version. A date must be exactly the file's.
inline bool range_is_current(const Request& request, const Validators& now) {
  const std::optional<std::string_view> field = request.header("If-Range");
  if (!field) return true;
  if (field->ends_with('"')) return detail::same_tag(*field, now.etag, true);
  return now.last_modified && parse_http_date(*field) == now.last_modified;
}

inline Response with_validators(Response response, const Validators& now) {
  if (!now.etag.empty()) response.header("ETag", now.etag);
  if (now.last_modified) response.header("Last-Modified", write_http_date(*now.last_modified));
  return response;
}

}  // namespace narwhal
