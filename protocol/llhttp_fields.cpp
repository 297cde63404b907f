#include "protocol/llhttp_fields.hpp"

#include <llhttp.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

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
  while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t')) --size;
  split.fields->back().value = {split.place(at), size};
  return 0;
}

// Bodies are not llhttp's to frame: it stops here, before it looks at what it knows of lengths and upgrades.
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

// Copied for each head: cheaper than llhttp_init() each time.
const llhttp_t fresh_parser = [] {
  llhttp_t parser{};
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  return parser;
}();

Refusal run_llhttp(std::string_view shown, Split& split) noexcept {
  llhttp_t parser = fresh_parser;
  parser.data = &split;
  llhttp_execute(&parser, shown.data(), shown.size());
  if (split.refusal) return split.refusal;
  if (!split.complete) return {400, "malformed head"};
  return {};
}

bool known_to_every_llhttp(std::string_view method) noexcept {
  switch (method.size()) {
    case 3: return method == "GET" || method == "PUT";
    case 4: return method == "HEAD" || method == "POST";
    case 5: return method == "PATCH";
    case 6: return method == "DELETE";
    case 7: return method == "CONNECT" || method == "OPTIONS";
    default: return false;
  }
}

// CONNECT keeps its name, by which llhttp takes host:port for a target.
Refusal run_llhttp_on_copy(const CheckedHead& head, Split& split) noexcept {
  constexpr std::string_view stand_in = "GET";
  const bool known = known_to_every_llhttp(head.method);
  const std::string_view method = known ? head.method : stand_in;
  const std::string_view rest = head.bytes.substr(head.method.size());
  const std::unique_ptr<char[]> copy(new (std::nothrow) char[method.size() + rest.size()]);
  if (copy == nullptr) return {431, "no memory for this head"};
  char* const shown_rest = std::copy(method.begin(), method.end(), copy.get());
  char* const end = std::replace_copy(rest.begin(), rest.end(), shown_rest, '\t', ' ');
  split.shown = shown_rest;
  split.original = rest.data();
  return run_llhttp({copy.get(), static_cast<std::size_t>(end - copy.get())}, split);
}

}  // namespace

Refusal split_fields(const CheckedHead& head, std::size_t fields_max, std::vector<Field>& fields) noexcept {
  fields.clear();
  Split split{&fields, fields_max != 0 ? fields_max : std::numeric_limits<std::size_t>::max(), head.bytes.data(),
              head.bytes.data(), Refusal{}};
  if (head.tabs || !known_to_every_llhttp(head.method)) [[unlikely]] {
    return run_llhttp_on_copy(head, split);
  }
  return run_llhttp(head.bytes, split);
}

}  // namespace narwhal::protocol
