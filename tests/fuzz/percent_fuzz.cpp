// Percent-decoding, against a decoder of ten lines; in place it is the same.
#include <cctype>
#include <optional>
#include <string>

#include "protocol/percent.hpp"
#include "tests/fuzz/cuts.hpp"

namespace {

std::optional<std::string> plainly_decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const std::string digits = text.substr(i + 1, 2);
    const auto hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    if (digits.size() < 2 || !hex(digits[0]) || !hex(digits[1])) return std::nullopt;
    out += static_cast<char>(std::stoi(digits, nullptr, 16));
    i += 2;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::optional<std::string> expected = plainly_decoded(text);
  std::string out(text.size(), '?');
  const auto decoded = narwhal::protocol::percent_decode(text, out.data());
  narwhal::fuzz::must(decoded.has_value() == expected.has_value(), "the same texts are malformed");
  if (decoded) narwhal::fuzz::must(out.substr(0, *decoded) == *expected, "the same bytes");
  std::string in_place = text;
  const auto again = narwhal::protocol::percent_decode(in_place, in_place.data());
  narwhal::fuzz::must(again == decoded, "in place the same size");
  if (again) narwhal::fuzz::must(in_place.substr(0, *again) == *expected, "in place the same bytes");
  return 0;
}
