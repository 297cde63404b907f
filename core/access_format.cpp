#include "core/access_format.hpp"

#include <utility>

namespace narwhal {
namespace {

constexpr std::string_view json_word = "json";

// "{x-request-id}i".
bool is_named(std::string_view atom) {
  return atom.size() > 3 && atom[0] == '{' && atom[atom.size() - 2] == '}' &&
         std::string_view("ioe").find(atom.back()) != std::string_view::npos;
}

// The end of the atom "%(...)s" that begins at `at`; 0: none does.
std::size_t atom_end(std::string_view format, std::size_t at) {
  if (format.substr(at, 2) != "%(") return 0;
  const std::size_t close = format.find(')', at);
  return close != std::string_view::npos && format.substr(close + 1, 1) == "s" ? close + 2 : 0;
}

void add_atom(AccessFormat& compiled, std::string_view name, std::string& literal) {
  const bool is_letter = name.size() == 1 && access_atoms.find(name[0]) != std::string_view::npos;
  if (!is_letter && !is_named(name)) {
    compiled.unknown_atoms.emplace_back(name);
    literal += '-';
    return;
  }
  if (!literal.empty()) compiled.pieces.push_back({0, std::exchange(literal, {})});
  if (is_letter) {
    compiled.pieces.push_back({name[0], {}});
  } else {
    compiled.pieces.push_back({name.back(), std::string(name.substr(1, name.size() - 3))});
  }
}

}  // namespace

std::vector<std::string> AccessFormat::names_of(char atom) const {
  std::vector<std::string> names;
  for (const AccessPiece& piece : pieces) {
    if (piece.atom == atom) names.push_back(piece.text);
  }
  return names;
}

// Text that is not an atom stays as it is, as in Python's formatting: "100%%" is "100%".
AccessFormat compile_access_format(std::string_view format) {
  AccessFormat compiled;
  compiled.is_json = format == json_word || format.starts_with("json ");
  if (compiled.is_json) format.remove_prefix(json_word.size());
  std::string literal;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const std::size_t end = atom_end(format, at);
    if (end != 0) {
      add_atom(compiled, format.substr(at + 2, end - at - 4), literal);
      at = end - 1;
    } else {
      literal += format[at];
      if (format.substr(at, 2) == "%%") ++at;
    }
  }
  if (!literal.empty()) compiled.pieces.push_back({0, std::move(literal)});
  return compiled;
}

}  // namespace narwhal
