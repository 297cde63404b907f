// Fields of conditional and partial requests: ranges lie within the body and apart from each other; a date that is read
// is read back from what is written; a tag that is listed is in the list.
#include <string>

#include "narwhal/conditions.hpp"
#include "narwhal/ranges.hpp"
#include "tests/fuzz/cuts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using narwhal::fuzz::must;
  const narwhal::fuzz::Input input = narwhal::fuzz::input_of(data, size);
  const std::string text(input.stream);
  const std::int64_t body = input.seed;
  const narwhal::AskedRanges asked = narwhal::parse_ranges(text, body);
  must((asked.kind == narwhal::AskedRanges::Kind::parts) == !asked.parts.empty(),
       "parts have ranges, nothing else has");
  std::int64_t total = 0;
  for (const narwhal::ByteRange& part : asked.parts) {
    must(part.first >= 0 && part.first <= part.last && part.last < body, "a range is within the body");
    total += part.size();
  }
  must(total <= body, "no more than the body is sent");
  if (const auto seconds = narwhal::parse_http_date(text)) {
    must(narwhal::parse_http_date(narwhal::write_http_date(*seconds)) == seconds, "a date that is read can be written");
  }
  if (narwhal::lists_tag(text, "\"tag\"", true)) {
    must(text == "*" || text.find("\"tag\"") != std::string::npos, "a tag that is listed is there");
    must(narwhal::lists_tag(text, "\"tag\"", false), "the weak comparison matches what the strong one does");
  }
  return 0;
}
