// What a request's path names below the folder.
//   read_target("/img/a%20b.png", Hidden::refused)  ->  {"img/a b.png", false}
// Ownership  values.
// Errors     nothing for a path that names no file here, whatever is in the folder: the answer is 404.
// Threads    any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace narwhal::static_files {

struct Target {
  std::string below;    // decoded, without a slash at either end; "" is the folder itself
  bool folder = false;  // the path ends with a slash: it names a folder
};

enum class Hidden : bool { refused, served };

// `path` is not decoded and begins with '/'. Refused are "." and "..", an empty segment, and a segment with a slash, a
// backslash or a NUL in it, however it is written; and, with Hidden::refused, a segment that begins with a dot. The
// exception is /.well-known, which is there to be found (RFC 8615).
std::optional<Target> read_target(std::string_view path, Hidden hidden);

// The same for one decoded segment: is it the name of a file that is served? `first`: it stands directly below the folder.
bool is_served_name(std::string_view name, bool first, Hidden hidden) noexcept;

}  // namespace narwhal::static_files
