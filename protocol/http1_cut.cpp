#include "protocol/http1_cut.hpp"

#include <llhttp.h>

#include <cstring>
#include <span>
#include <string>

#include "protocol/characters.hpp"
#include "protocol/field_values.hpp"

// Without it 8.1 takes spaces for parts of field names, and any byte after CR for LF.
#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "build llhttp, and this file, with LLHTTP_STRICT_MODE=1"
#endif

#ifdef NARWHAL_LLHTTP_SSE42
// llhttp once more, compiled for SSE4.2: it steps over values and names sixteen bytes at a time.
extern "C" llhttp_errno_t narwhal_llhttp_execute_sse42(llhttp_t* parser, const char* bytes, std::size_t size);
#endif

namespace narwhal::protocol {
namespace {

struct Cutting {
  Field* next;  // where the next field goes
  Field* const end;
  HeadCut& cut;
};

Cutting& cutting_of(llhttp_t* parser) noexcept { return *static_cast<Cutting*>(parser->data); }

int on_method(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  cutting_of(parser).cut.method = {at, size};
  return 0;
}

int on_target(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  cutting_of(parser).cut.target = {at, size};
  return 0;
}

int on_name(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  Cutting& cutting = cutting_of(parser);
  if (cutting.next == cutting.end) return -1;  // more fields than lines: never, by what the scan lets through
  *cutting.next++ = {{at, size}, {at + size, 0}};
  return 0;
}

int on_value(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  while (size > 0 && is_blank(at[size - 1])) --size;
  // Where there is no value, llhttp says so when the line is over.
  while (size == 0 && (at[-1] == '\n' || at[-1] == '\r')) --at;
  cutting_of(parser).next[-1].value = {at, size};
  return 0;
}

// Before llhttp acts on what it knows of lengths, codings and upgrades.
int on_headers_complete(llhttp_t*) noexcept { return HPE_PAUSED; }

const llhttp_settings_t settings = [] {
  llhttp_settings_t chosen{};
  chosen.on_method = on_method;
  chosen.on_url = on_target;
  chosen.on_header_field = on_name;
  chosen.on_header_value = on_value;
  chosen.on_headers_complete = on_headers_complete;
  return chosen;
}();

// Each head starts from a copy of it, which costs less than llhttp_init.
const llhttp_t fresh_parser = [] {
  llhttp_t parser{};
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  return parser;
}();

const auto execute = [] {
#ifdef NARWHAL_LLHTTP_SSE42
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") != 0) return narwhal_llhttp_execute_sse42;
#endif
  return llhttp_execute;
}();

// Whether the line is "METHOD target HTTP/1.x" with a CRLF after it. Where the parts are is what llhttp found. It does not
// promise what is between them: it accepts more than one space, a line without a version, RTSP, and HTTP/2.0.
bool is_http_line(const llhttp_t& parser, const HeadCut& cut, const char* line, const char* end) noexcept {
  constexpr std::string_view before_minor = " HTTP/1.";
  const char* const target_end = cut.target.data + cut.target.size;
  return cut.target.data != nullptr && cut.method.data == line && line + cut.method.size + 1 == cut.target.data &&
         cut.target.data[-1] == ' ' && end - target_end >= 11 &&
         std::memcmp(target_end, before_minor.data(), before_minor.size()) == 0 && parser.http_major == 1 &&
         parser.http_minor <= 1 && target_end[8] == '0' + parser.http_minor && target_end[9] == '\r';
}

void run_llhttp(std::string_view head, std::span<Field> fields, HeadCut& cut) noexcept {
  Cutting cutting{fields.data(), fields.data() + fields.size(), cut};
  llhttp_t parser = fresh_parser;
  parser.data = &cutting;
  const char* const end = head.data() + head.size();
  // It pauses after the empty line. When that is not the scan's, or a line is not a field, the two disagree.
  const bool paused = execute(&parser, head.data(), head.size()) == HPE_PAUSED;
  if (!is_http_line(parser, cut, head.data(), end)) [[unlikely]] {
    cut = {};
    return;
  }
  cut.line = true;
  cut.minor = parser.http_minor;
  cut.complete = paused && parser.error_pos == end && cutting.next == cutting.end;
}

constexpr bool is_letter(char c) noexcept { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

// What llhttp has an opinion of becomes what it has none of: the method GET, each byte that may be in a target '/', and
// the first letter of each name 'x', for it looks into the values of some names. Every other byte stays, and so does
// every offset from the end of the method on.
std::string without_specials(std::string_view head, std::size_t method_size) {
  std::string copy("GET");
  copy.append(head.substr(method_size));
  std::size_t at = 4;
  for (; at < copy.size() && is(copy[at], bytes::query); ++at) copy[at] = '/';
  while ((at = copy.find('\n', at)) != std::string::npos) {
    char& first = copy[++at];
    if (is_letter(first)) first = 'x';
  }
  return copy;
}

void run_llhttp_on_copy(std::string_view head, std::span<Field> fields, HeadCut& cut) {
  cut = {};
  const std::size_t method_size = head.find(' ');
  if (method_size == std::string_view::npos || method_size == 0) return;
  if (!all(head.substr(0, method_size), bytes::token)) return;
  const std::string copy = without_specials(head, method_size);
  run_llhttp(copy, fields, cut);
  const auto map_back = [&](Bytes& view) {
    const auto from_end = static_cast<std::size_t>(copy.data() + copy.size() - view.data);
    view.data = head.data() + head.size() - from_end;
  };
  if (cut.line) {
    map_back(cut.target);
    cut.method = head.substr(0, method_size);
  }
  if (cut.complete) {
    for (Field& field : fields) {
      map_back(field.name);
      map_back(field.value);
    }
  }
  cut.copied = true;
}

}  // namespace

void cut_head(std::string_view head, std::vector<Field>& fields, HeadCut& cut) {
  run_llhttp(head, fields, cut);
  if (!cut.line || !cut.complete) [[unlikely]] {
    run_llhttp_on_copy(head, fields, cut);
  }
}

void cut_request_line(std::string_view line, HeadCut& cut) {
  run_llhttp(line, {}, cut);
  if (!cut.line) run_llhttp_on_copy(line, {}, cut);
}

const char* llhttp_version() noexcept {
#define NARWHAL_TEXT(number) #number
#define NARWHAL_VERSION_TEXT(major, minor, patch) NARWHAL_TEXT(major) "." NARWHAL_TEXT(minor) "." NARWHAL_TEXT(patch)
  return NARWHAL_VERSION_TEXT(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}

}  // namespace narwhal::protocol
