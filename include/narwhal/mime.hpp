// The media type of a file, by the end of its name.
// Ownership  literals.
// Errors     none.
// Threads    any.
// Source     the types registered with IANA; text/javascript: RFC 9239; for text the charset is UTF-8.
#pragma once

#include <narwhal/text.hpp>

#include <string_view>

namespace narwhal {

// "application/octet-stream" for an ending that is not known.
inline std::string_view mime_type(std::string_view file_name) noexcept {
  struct Type {
    std::string_view ending, type;
  };
  constexpr Type types[] = {{"html", "text/html; charset=utf-8"},
                            {"htm", "text/html; charset=utf-8"},
                            {"css", "text/css; charset=utf-8"},
                            {"js", "text/javascript; charset=utf-8"},
                            {"mjs", "text/javascript; charset=utf-8"},
                            {"txt", "text/plain; charset=utf-8"},
                            {"md", "text/markdown; charset=utf-8"},
                            {"csv", "text/csv; charset=utf-8"},
                            {"ics", "text/calendar; charset=utf-8"},
                            {"xml", "application/xml"},
                            {"json", "application/json"},
                            {"map", "application/json"},
                            {"jsonld", "application/ld+json"},
                            {"webmanifest", "application/manifest+json"},
                            {"wasm", "application/wasm"},
                            {"pdf", "application/pdf"},
                            {"zip", "application/zip"},
                            {"gz", "application/gzip"},
                            {"tar", "application/x-tar"},
                            {"7z", "application/x-7z-compressed"},
                            {"epub", "application/epub+zip"},
                            {"rtf", "application/rtf"},
                            {"svg", "image/svg+xml"},
                            {"png", "image/png"},
                            {"jpg", "image/jpeg"},
                            {"jpeg", "image/jpeg"},
                            {"gif", "image/gif"},
                            {"webp", "image/webp"},
                            {"avif", "image/avif"},
                            {"bmp", "image/bmp"},
                            {"tiff", "image/tiff"},
                            {"tif", "image/tiff"},
                            {"ico", "image/vnd.microsoft.icon"},
                            {"woff", "font/woff"},
                            {"woff2", "font/woff2"},
                            {"ttf", "font/ttf"},
                            {"otf", "font/otf"},
                            {"mp3", "audio/mpeg"},
                            {"m4a", "audio/mp4"},
                            {"ogg", "audio/ogg"},
                            {"opus", "audio/ogg"},
                            {"flac", "audio/flac"},
                            {"wav", "audio/wav"},
                            {"mp4", "video/mp4"},
                            {"webm", "video/webm"},
                            {"ogv", "video/ogg"},
                            {"mov", "video/quicktime"},
                            {"m3u8", "application/vnd.apple.mpegurl"},
                            {"vtt", "text/vtt; charset=utf-8"}};
  const std::string_view name = file_name.substr(file_name.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos) return "application/octet-stream";
  for (const Type& type : types) {
    if (equal_ignoring_case(type.ending, name.substr(dot + 1))) return type.type;
  }
  return "application/octet-stream";
}

}  // namespace narwhal
