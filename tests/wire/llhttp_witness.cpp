#include "tests/wire/llhttp_witness.hpp"

#include <llhttp.h>

#include <algorithm>

// Without it 8.1 takes spaces for parts of field names.
#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "build llhttp, and this file, with LLHTTP_STRICT_MODE=1"
#endif

namespace narwhal::wire {
namespace {

struct Witness {
  const char* shown;     // what llhttp sees,
  const char* original;  // and the same place in what was given
  PlainFields fields;
  bool empty_name = false;  // before 9 it lets them pass
  bool complete = false;
};

int on_name(llhttp_t* parser, const char* at, std::size_t size) {
  auto& witness = *static_cast<Witness*>(parser->data);
  witness.fields.emplace_back(std::string(at, size), "");
  witness.empty_name |= size == 0;
  return 0;
}

int on_value(llhttp_t* parser, const char* at, std::size_t size) {
  auto& witness = *static_cast<Witness*>(parser->data);
  std::string_view value(witness.original + (at - witness.shown), size);
  while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
  witness.fields.back().second = value;
  return 0;
}

// It stops here, before it acts on what it knows of lengths and upgrades.
int on_headers_complete(llhttp_t* parser) {
  static_cast<Witness*>(parser->data)->complete = true;
  return -1;
}

}  // namespace

std::optional<PlainFields> llhttp_fields(std::string_view lines) {
  const std::string head = "GET / HTTP/1.1\r\n" + std::string(lines);
  std::string shown = head;
  std::replace(shown.begin(), shown.end(), '\t', ' ');
  llhttp_settings_t settings{};
  settings.on_header_field = on_name;
  settings.on_header_value = on_value;
  settings.on_headers_complete = on_headers_complete;
  Witness witness{.shown = shown.data(), .original = head.data(), .fields = {}};
  llhttp_t parser{};
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &witness;
  llhttp_execute(&parser, shown.data(), shown.size());
  if (!witness.complete || witness.empty_name) return std::nullopt;
  return witness.fields;
}

}  // namespace narwhal::wire
