// What becomes of each setting of Gunicorn, as the table in narwhal-wsgi(7).
#pragma once

#include <string>
#include <vector>

namespace narwhal::server {

struct GunicornRow {
  std::string name;
  std::string meaning;  // "Same.", "Changes nothing: ...", "Refused: ..."
};

// A row for each, by name.
std::vector<GunicornRow> gunicorn_rows();
// The rows as a list in mdoc(7).
std::string gunicorn_table();

}  // namespace narwhal::server
