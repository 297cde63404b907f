// PROXY headers. Promises: more bytes change neither a refusal nor a header, no more is consumed than there is, a version
// that is not accepted is never seen, and a line's source is written in the line.
#include <string>

#include "protocol/proxy_header.hpp"
#include "tests/fuzz/cuts.hpp"
#include "tests/wire/exact_copy.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using fuzz::must;

ProxyFed decode(std::string_view bytes, ProxyVersions accepted) {
  const wire::ExactCopy copy(bytes);
  return decode_proxy_header(copy.view(), accepted);
}

bool same(const ProxyFed& left, const ProxyFed& right) {
  return left.status == right.status && left.consumed == right.consumed && left.names_source == right.names_source &&
         left.source == right.source && left.port == right.port && std::string_view(left.fault) == right.fault;
}

// The first answer that is not need_more, when the stream arrives in these pieces.
template <class NextSize>
ProxyFed decode_cut(std::string_view stream, ProxyVersions accepted, NextSize next_size) {
  for (std::size_t there = 0;;) {
    there = std::min(stream.size(), there + next_size());
    const ProxyFed fed = decode(stream.substr(0, there), accepted);
    if (fed.status != Status::need_more || there == stream.size()) return fed;
  }
}

void check_line(std::string_view line, const ProxyFed& fed) {
  must(line.ends_with("\r\n") && line.size() <= proxy_line_bytes_max, "a line has an end, and is short");
  if (!fed.names_source) return;
  line.remove_prefix(std::string_view("PROXY TCP4 ").size());
  const auto written = IpAddress::parse(line.substr(0, line.find(' ')));
  must(written && *written == fed.source, "the source is the first address");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::input_of(data, size);
  for (const ProxyVersions accepted :
       {ProxyVersions{true, true}, ProxyVersions{true, false}, ProxyVersions{false, true}}) {
    const ProxyFed whole = decode(input.stream, accepted);
    fuzz::Cuts cuts(input.seed);
    must(same(decode_cut(input.stream, accepted, [&] { return cuts.next(); }), whole), "cuts change nothing");
    must(same(decode_cut(input.stream, accepted, [] { return 1u; }), whole), "byte by byte it is the same");
    must(whole.consumed <= input.stream.size(), "no more is consumed than given");
    must((*whole.fault != '\0') == (whole.status == Status::refused), "a refusal has a reason, and nothing else");
    must(whole.status == Status::complete || (whole.consumed == 0 && !whole.names_source),
         "half a header says nothing");
    if (whole.status == Status::need_more) must(input.stream.size() < proxy_header_bytes_max, "a header is bounded");
    if (whole.status != Status::complete) continue;
    must(like_proxy_header(input.stream) == Likeness::yes, "what is a header looks like one");
    const bool is_line = input.stream.starts_with('P');
    must(is_line ? accepted.v1 : accepted.v2, "a version that is not accepted is none");
    if (is_line) check_line(input.stream.substr(0, whole.consumed), whole);
  }
  return 0;
}
