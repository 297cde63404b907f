// Files as a client wants them: only when they have changed, and only the parts that it asks for.
//   router.get("/static/<path:name>", [](const narwhal::Request& request) {
//     return narwhal::send_file_below(request, "/srv/shop/static", request.parameter("name"));
//   });
// Answers    200; 206 for one range, or for several as multipart/byteranges; 304, 412, 416. The kernel sends the bytes; but a
//            small file is read, and goes out in one write with its head.
// Ownership  the response owns the descriptor.
// Errors     HttpError 404 when there is no regular file of this name; std::runtime_error when it cannot be opened for
//            another reason.
// Threads    any.
// Source     RFC 9110 8.8, 13, 14, 15.3.7.
#pragma once

#include <narwhal/conditions.hpp>
#include <narwhal/mime.hpp>
#include <narwhal/ranges.hpp>
#include <narwhal/send_response.hpp>

#include <sys/random.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace narwhal {

struct FileOptions {
  std::string type = "";           // empty: by the end of the name
  std::string cache_control = "";  // "max-age=3600"; empty: none: clients decide when to ask again
  std::size_t ranges_max = 16;     // a client that asks for more gets the whole file
};

// Up to this size a file is read: head and body are one write, and the host need not duplicate the descriptor. Small files
// cost less so; from about this size on sendfile(2) is as cheap or cheaper.
inline constexpr std::int64_t small_file_max = 16 * 1024;

namespace detail {

inline std::string hex(std::uint64_t number) {
  std::string text;
  do text.insert(text.begin(), "0123456789abcdef"[number & 15]);
  while ((number >>= 4) != 0);
  return text;
}

inline std::string content_range(const ByteRange& part, std::int64_t size) {
  return "bytes " + std::to_string(part.first) + "-" + std::to_string(part.last) + "/" + std::to_string(size);
}

// 128 random bits: no file has them in it.
inline std::string random_boundary() {
  std::uint64_t bits[2] = {};
  if (::getentropy(bits, sizeof bits) != 0) throw std::runtime_error("getentropy failed");
  return hex(bits[0]) + hex(bits[1]);
}

inline Response several_parts(FilePart file, const std::string& type, const std::vector<ByteRange>& parts) {
  const std::string boundary = random_boundary();
  std::vector<std::string> heads;
  std::int64_t total = 0;
  for (const ByteRange& part : parts) {
    heads.push_back("\r\n--" + boundary + "\r\nContent-Type: " + type +
                    "\r\nContent-Range: " + content_range(part, file.size()) + "\r\n\r\n");
    total += static_cast<std::int64_t>(heads.back().size()) + part.size();
  }
  const std::string end = "\r\n--" + boundary + "--\r\n";
  total += static_cast<std::int64_t>(end.size());
  auto pieces = [file = std::move(file), parts, heads = std::move(heads), end](Writer& writer) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      writer.write(heads[i]);
      writer.send_file(file.fd(), parts[i].first, parts[i].size());
    }
    writer.write(end);
  };
  return Response::stream(std::move(pieces), "multipart/byteranges; boundary=" + boundary, total).status(206);
}

// The whole file. Throws std::runtime_error when it has become shorter meanwhile.
inline Response whole_of(const Request& request, FilePart file, const std::string& type) {
  if (file.size() > small_file_max || request.method() != "GET") return Response::file(std::move(file), type);
  std::string body(static_cast<std::size_t>(file.size()), '\0');
  std::size_t got = 0;
  while (got < body.size()) {
    const ssize_t count =
        ::pread(file.fd(), body.data() + got, body.size() - got, file.offset() + static_cast<off_t>(got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::runtime_error(std::string("read the file: ") + std::strerror(errno));
    if (count == 0) throw std::runtime_error("the file has become shorter while it was read");
    got += static_cast<std::size_t>(count);
  }
  return Response::bytes(std::move(body), type);
}

inline Response parts_of(const Request& request, FilePart file, const Validators& now, const std::string& type,
                         std::size_t ranges_max) {
  const std::optional<std::string_view> field = request.header("Range");
  if (!field || request.method() != "GET" || !range_is_current(request, now)) {
    return whole_of(request, std::move(file), type);
  }
  const AskedRanges asked = parse_ranges(*field, file.size(), ranges_max);
  if (asked.kind == AskedRanges::Kind::whole) return whole_of(request, std::move(file), type);
  if (asked.kind == AskedRanges::Kind::unsatisfiable) {
    return Response::text("Range Not Satisfiable\n", 416)
        .header("Content-Range", "bytes */" + std::to_string(file.size()));
  }
  if (asked.parts.size() > 1) return several_parts(std::move(file), type, asked.parts);
  const ByteRange part = asked.parts.front();
  std::string range = content_range(part, file.size());
  return Response::file(std::move(file).part(part.first, part.size()), type)
      .status(206)
      .header("Content-Range", std::move(range));
}

}  // namespace detail

// Of the file with these facts. `variant` tells apart the forms in which one file is sent: "gzip". The tag is weak while
// the file may change again within the same tick of its time stamp.
inline Validators validators_of(const struct stat& facts, std::string_view variant = "") {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  std::string etag = now.tv_sec - facts.st_mtim.tv_sec > 1 ? "\"" : "W/\"";
  etag.append(detail::hex(static_cast<std::uint64_t>(facts.st_mtim.tv_sec))).append(".");
  etag.append(detail::hex(static_cast<std::uint64_t>(facts.st_mtim.tv_nsec))).append("-");
  etag.append(detail::hex(static_cast<std::uint64_t>(facts.st_size))).append("-");
  etag.append(detail::hex(facts.st_ino)).append(variant.empty() ? "" : "-").append(variant).append("\"");
  return {.etag = std::move(etag), .last_modified = facts.st_mtim.tv_sec};
}

// A file that is open already, of the type options.type. `now` is its current version.
inline Response send_file(const Request& request, FilePart file, const Validators& now, const FileOptions& options) {
  const int status = check_conditions(request, now);
  Response response = status != 0 ? Response(status)
                                  : detail::parts_of(request, std::move(file), now, options.type, options.ranges_max);
  if (status == 0) response.header("Accept-Ranges", "bytes");
  if (!options.cache_control.empty()) response.header("Cache-Control", options.cache_control);
  return with_validators(std::move(response), now);
}

// `path` is used as it is: a name that a client has chosen belongs to send_file_below().
inline Response send_file(const Request& request, const std::string& path, const FileOptions& options = {}) {
  std::optional<FilePart> file = FilePart::open(path);
  if (!file) throw HttpError(404);
  struct stat facts {};
  if (::fstat(file->fd(), &facts) != 0) throw std::runtime_error("fstat " + path + ": " + std::strerror(errno));
  if (!options.type.empty()) return send_file(request, std::move(*file), validators_of(facts), options);
  FileOptions typed = options;
  typed.type = mime_type(path);
  return send_file(request, std::move(*file), validators_of(facts), typed);
}

// `name` is a path below `folder` that the client has chosen. HttpError 404 when a segment is "..", or has a NUL.
// Symbolic links are followed: whoever may make them below `folder` chooses what is sent.
inline Response send_file_below(const Request& request, const std::string& folder, std::string_view name,
                                const FileOptions& options = {}) {
  if (name.find('\0') != name.npos) throw HttpError(404);
  for (std::string_view rest = name; !rest.empty();) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment == "..") throw HttpError(404);
    rest.remove_prefix(segment.size() == rest.size() ? rest.size() : segment.size() + 1);
  }
  return send_file(request, folder + "/" + std::string(name), options);
}

}  // namespace narwhal
