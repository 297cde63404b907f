// The format of the access log, compiled: Gunicorn's template of atoms, or "json".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal {

// The atoms of one letter.
constexpr std::string_view access_atoms = "hclutrmUqHsBbfaTDMLp";

struct AccessPiece {
  char atom = 0;     // 0: literal text; 'i', 'o', 'e' for {name}i and its kin
  std::string text;  // the literal, or the name as it is written
};

struct AccessFormat {
  bool is_json = false;             // an object with every atom; `pieces` add named values to it
  bool has_all_headers = false;     // of json: lists of all fields of request and response, too; for the log process
  std::vector<AccessPiece> pieces;  // of a template in order
  std::vector<std::string> unknown_atoms;

  // The names of %({name}e)s and its kin.
  std::vector<std::string> names_of(char atom) const;
};

// Never fails: what is not an atom is text, and an unknown atom is a dash.
AccessFormat compile_access_format(std::string_view format);

}  // namespace narwhal
