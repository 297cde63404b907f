// Writes what is made from the tables of settings to standard output: the completion for a shell when narwhal is built
// (completion_program bash), and the table of Gunicorn's settings in narwhal-wsgi(7) (completion_program table).
#include <cstdio>
#include <string>

#include "server/config/completions.hpp"
#include "server/config/gunicorn_table.hpp"

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  const std::string text = what == "table" ? narwhal::server::gunicorn_table() : narwhal::server::completion_text(what);
  if (text.empty()) return 2;
  return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
}
