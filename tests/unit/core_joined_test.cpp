#include "core/joined.hpp"

#include <doctest/doctest.h>

#include <vector>

using narwhal::joined;

TEST_CASE("joined: words have the separator between them and nowhere else") {
  CHECK(joined(std::vector<std::string>{}, ", ").empty());
  CHECK(joined(std::vector<std::string>{"one"}, ", ") == "one");
  CHECK(joined(std::vector<const char*>{"a", "b", "c"}, ", ") == "a, b, c");
  CHECK(joined(std::vector<std::string_view>{"", "", "x"}, ",") == ",,x");
}

TEST_CASE("joined: a member or a function makes a word of each element") {
  struct Route {
    std::string app;
  };
  CHECK(joined(std::vector<Route>{{"a"}, {"b"}}, " or ", &Route::app) == "a or b");
  CHECK(joined(std::vector<int>{1, 2}, "+", [](int number) { return std::to_string(number); }) == "1+2");
}
