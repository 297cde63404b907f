#include "protocol/llhttp_fields.hpp"

#include <llhttp.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

// Without it 8.1 takes spaces for parts of field names.
#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "build llhttp, and this file, with LLHTTP_STRICT_MODE=1"
#endif

#ifdef NARWHAL_LLHTTP_SSE42
extern "C" int narwhal_llhttp_execute_sse42(llhttp_t* parser, const char* begin, const char* end);
#endif

namespace narwhal::protocol {
namespace {

struct Split {
  std::vector<Field>* fields;
  std::size_t fields_max;
  const char* shown;     // where what llhttp sees starts,
  const char* original;  // and the same place in the caller's bytes
  Refusal refusal;
  bool complete = false;

  const char* place(const char* at) const noexcept { return original + (at - shown); }
};

constexpr int stop = -1;

int on_name(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  Split& split = *static_cast<Split*>(parser->data);
  if (split.fields->size() == split.fields_max) {
    split.refusal = {431, "too many fields"};
    return stop;
  }
  if (size == 0) {  // llhttp before 9 lets it pass
    split.refusal = {400, "empty field name"};
    return stop;
  }
  const char* const name = split.place(at);
  split.fields->push_back({{name, size}, {name + size, 0}});
  return 0;
}

int on_value(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  Split& split = *static_cast<Split*>(parser->data);
  const char* const value = split.place(at);
  while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t')) --size;
  split.fields->back().value = {value, size};
  return 0;
}

// Bodies are not llhttp's to frame: it stops here, before it acts on what it knows of lengths and upgrades.
int on_headers_complete(llhttp_t* parser) noexcept {
  static_cast<Split*>(parser->data)->complete = true;
  return stop;
}

const llhttp_settings_t settings = [] {
  llhttp_settings_t chosen{};
  chosen.on_header_field = on_name;
  chosen.on_header_value = on_value;
  chosen.on_headers_complete = on_headers_complete;
  return chosen;
}();

// A parser that waits for the first field line; each head starts from a copy of it.
const llhttp_t waiting_parser = [] {
  constexpr std::string_view request_line = "GET / HTTP/1.1\r\n";
  llhttp_t parser{};
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  llhttp_execute(&parser, request_line.data(), request_line.size());
  return parser;
}();

int execute(llhttp_t* parser, const char* begin, const char* end) noexcept {
#ifdef NARWHAL_LLHTTP_SSE42
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
  if (has_sse42) return narwhal_llhttp_execute_sse42(parser, begin, end);
#endif
  return llhttp_execute(parser, begin, static_cast<std::size_t>(end - begin));
}

Refusal run_llhttp(std::string_view shown, Split& split) noexcept {
  llhttp_t parser = waiting_parser;
  parser.data = &split;
  execute(&parser, shown.data(), shown.data() + shown.size());
  if (split.refusal) return split.refusal;
  if (!split.complete) return {400, "malformed field line"};
  return {};
}

Refusal run_llhttp_without_tabs(std::string_view lines, Split& split) noexcept {
  const std::unique_ptr<char[]> copy(new (std::nothrow) char[lines.size()]);
  if (copy == nullptr) return {431, "no memory for this head"};
  std::replace_copy(lines.begin(), lines.end(), copy.get(), '\t', ' ');
  split.shown = copy.get();
  return run_llhttp({copy.get(), lines.size()}, split);
}

}  // namespace

Refusal split_fields(const FieldLines& lines, std::size_t fields_max, std::vector<Field>& fields) noexcept {
  fields.clear();
  const char* const start = lines.bytes.data();
  Split split{&fields, fields_max != 0 ? fields_max : std::numeric_limits<std::size_t>::max(), start, start, {}};
  if (lines.tabs) [[unlikely]] {
    return run_llhttp_without_tabs(lines.bytes, split);
  }
  return run_llhttp(lines.bytes, split);
}

}  // namespace narwhal::protocol
