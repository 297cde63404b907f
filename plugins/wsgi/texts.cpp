#include "plugins/wsgi/texts.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

namespace narwhal::wsgi {

namespace {

// A hash table with open addressing, by the name as it was sent. When half of its places are taken it is full, and keys
// of further names are made for each request.
constexpr std::size_t places = 1024, names_max = places / 2, name_bytes_max = 63;

struct Place {
  std::uint8_t size = 0;  // 0: free
  char name[name_bytes_max];
  HeaderKey key;
  LastText last;
};

std::unique_ptr<Place[]> table;
std::size_t names = 0;

std::size_t place_of(std::string_view name) noexcept {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash % places;
}

char in_environ(char c) noexcept {
  if (c == '-') return '_';
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

HeaderKey make_key(std::string_view name) noexcept {
  constexpr std::size_t prefix = 5;
  HeaderKey made;
  // A name is ASCII, which the server has checked.
  Ref key(PyUnicode_New(static_cast<Py_ssize_t>(prefix + name.size()), 127));
  if (!key) return made;
  char* const text = static_cast<char*>(PyUnicode_DATA(key.get()));
  std::memcpy(text, "HTTP_", prefix);
  std::transform(name.begin(), name.end(), text + prefix, in_environ);
  const std::string_view bare(text + prefix, name.size());
  // A name with an underscore, where the server accepts it, must not pass for the one with a hyphen: "Content_Length"
  // is not Content-Length.
  const bool is_variable = name.find('_') != std::string_view::npos;
  if (is_variable) {
    if (bare == "SCRIPT_NAME" && name.find('-') == std::string_view::npos) made.kind = HeaderKey::Kind::script_name;
    made.key = key.release();
    PyUnicode_InternInPlace(&made.key);
    return made;
  }
  if (bare == "CONTENT_TYPE") made.kind = HeaderKey::Kind::content_type;
  if (bare == "TRANSFER_ENCODING") made.kind = HeaderKey::Kind::transfer_encoding;
  if (bare == "CONTENT_LENGTH") made.kind = HeaderKey::Kind::content_length;
  if (made.kind == HeaderKey::Kind::content_type || made.kind == HeaderKey::Kind::content_length) {
    key.reset(PyUnicode_FromStringAndSize(bare.data(), static_cast<Py_ssize_t>(bare.size())));
  }
  made.key = key.release();
  if (made.key != nullptr) PyUnicode_InternInPlace(&made.key);
  return made;
}

}  // namespace

// The names that browsers and proxies send get places first, before a client can fill the table with others.
bool prepare_header_keys() noexcept {
  constexpr std::string_view usual[] = {"Accept",
                                        "Accept-Encoding",
                                        "Accept-Language",
                                        "Authorization",
                                        "Cache-Control",
                                        "Connection",
                                        "Content-Length",
                                        "Content-Type",
                                        "Cookie",
                                        "Forwarded",
                                        "Host",
                                        "If-Modified-Since",
                                        "If-None-Match",
                                        "Origin",
                                        "Pragma",
                                        "Range",
                                        "Referer",
                                        "Sec-Fetch-Dest",
                                        "Sec-Fetch-Mode",
                                        "Sec-Fetch-Site",
                                        "Sec-Fetch-User",
                                        "Transfer-Encoding",
                                        "Upgrade-Insecure-Requests",
                                        "User-Agent",
                                        "X-CSRFToken",
                                        "X-Forwarded-For",
                                        "X-Forwarded-Host",
                                        "X-Forwarded-Port",
                                        "X-Forwarded-Proto",
                                        "X-Real-IP",
                                        "X-Request-ID",
                                        "X-Requested-With",
                                        "sec-ch-ua",
                                        "sec-ch-ua-mobile",
                                        "sec-ch-ua-platform"};
  for (const std::string_view name : usual) {
    char lower[name_bytes_max];
    std::transform(name.begin(), name.end(), lower, [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
    if (header_key(name).key == nullptr || header_key({lower, name.size()}).key == nullptr) return false;
  }
  return true;
}

HeaderKey header_key(std::string_view name) noexcept {
  if (name.empty() || name.size() > name_bytes_max) return make_key(name);
  if (table == nullptr) table.reset(new (std::nothrow) Place[places]);
  if (table == nullptr) return make_key(name);
  std::size_t at = place_of(name);
  while (table[at].size != 0) {
    if (std::string_view(table[at].name, table[at].size) == name) return table[at].key;
    at = (at + 1) % places;
  }
  HeaderKey made = make_key(name);
  if (made.key == nullptr || names >= names_max) return made;
  ++names;
  Place& place = table[at];
  place.size = static_cast<std::uint8_t>(name.size());
  std::memcpy(place.name, name.data(), name.size());
  made.kept = true;
  made.last = &place.last;
  place.key = made;
  return made;
}

void clear_header_keys() noexcept {
  for (std::size_t at = 0; table != nullptr && at < places; ++at) {
    Py_CLEAR(table[at].key.key);
    table[at].last.clear();
  }
  table.reset();
  names = 0;
}

}  // namespace narwhal::wsgi
