#include "protocol/characters.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace narwhal::protocol;

TEST_CASE("characters: two texts are the same but for the case of ASCII letters, whatever their length") {
  const auto lower = [](unsigned byte) { return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte; };
  for (const std::size_t size : {1u, 7u, 8u, 9u, 15u, 16u, 17u, 30u}) {
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      for (unsigned left = 0; left < 256; ++left) {
        for (unsigned right = 0; right < 256; ++right) {
          std::string one(size, 'k'), other(size, 'K');
          one[at] = static_cast<char>(left);
          other[at] = static_cast<char>(right);
          if (same_ignoring_case(one, other) != (lower(left) == lower(right)))
            FAIL(size, " ", at, " ", left, " ", right);
        }
      }
    }
  }
  CHECK(same_ignoring_case("", ""));
  CHECK_FALSE(same_ignoring_case("a", ""));
  CHECK_FALSE(same_ignoring_case("X-Forwarded-For", "X-Forwarded-Fo"));
}
