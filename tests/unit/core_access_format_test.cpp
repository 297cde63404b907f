#include "core/access_format.hpp"

#include <doctest/doctest.h>

using namespace narwhal;

TEST_CASE("access format: json is the word alone, or with values to add") {
  CHECK(compile_access_format("json").is_json);
  CHECK(compile_access_format("json %({x}i)s").is_json);
  for (const char* text : {"jsonl", "JSON", " json", "%(h)s json", ""}) {
    CAPTURE(text);
    CHECK_FALSE(compile_access_format(text).is_json);
  }
}

TEST_CASE("access format: names its fields and variables, as they are written") {
  const AccessFormat format = compile_access_format("%({X-One}i)s %(h)s %({a}e)s%({B.c}e)s %({x}o)s");
  CHECK(format.names_of('i') == std::vector<std::string>{"X-One"});
  CHECK(format.names_of('o') == std::vector<std::string>{"x"});
  CHECK(format.names_of('e') == std::vector<std::string>{"a", "B.c"});
  CHECK(format.unknown_atoms.empty());
}

TEST_CASE("access format: what is not an atom is listed once for each time") {
  const AccessFormat format = compile_access_format("%(R)s %(status)s %({x}z)s %({}i)s %(h)d 100%");
  CHECK(format.unknown_atoms == std::vector<std::string>{"R", "status", "{x}z", "{}i"});
}
