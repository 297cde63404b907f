// SCGI heads. Promises: more bytes change no refusal and no head; nothing is consumed or read that is not there; what is asked
// for is what is missing; the variables are those that are cut by hand, none comes twice, and over FastCGI and uwsgi they mean
// the same.
#include <algorithm>
#include <set>
#include <string>

#include "protocol/scgi_head.hpp"
#include "protocol/uwsgi_head.hpp"
#include "tests/fuzz/cgi_promises.hpp"

namespace {

using namespace narwhal;
using fuzz::must;

void check_over_uwsgi(const wire::Pairs& pairs, const std::string& meaning) {
  if (wire::uwsgi_block(pairs).size() > 0xffff) return;
  const std::string packet = wire::uwsgi_packet(pairs);
  must(fuzz::same_request(fuzz::decode_at_once(packet, protocol::decode_uwsgi_head), meaning), "uwsgi says the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::input_of(data, size);
  const std::string whole = fuzz::check_cuts(input, protocol::decode_scgi_head);
  if (!fuzz::is_complete(whole)) return 0;
  const std::string_view stream = input.stream;
  const std::size_t begin = stream.find(':') + 1, block = std::stoul(std::string(stream.substr(0, begin)));
  must(stream[begin + block] == ',', "a comma ends the netstring");
  must(whole.ends_with(" +" + std::to_string(stream.size() - begin - block - 1)), "the head ends after the comma");
  wire::Pairs pairs;
  std::set<std::string> names;
  for (std::size_t at = begin; at != begin + block;) {
    const std::size_t name_end = stream.find('\0', at), value_end = stream.find('\0', name_end + 1);
    must(value_end < begin + block, "no variable reaches beyond the head");
    pairs.emplace_back(stream.substr(at, name_end - at), stream.substr(name_end + 1, value_end - name_end - 1));
    must(names.insert(pairs.back().first).second, "no variable comes twice");
    at = value_end + 1;
  }
  must(pairs.at(0).first == "CONTENT_LENGTH" && names.contains("SCGI"), "CONTENT_LENGTH is first, and SCGI is there");
  must(wire::scgi_head(pairs) == stream.substr(0, begin + block + 1), "decoding turns encoding around");
  fuzz::check_over_fastcgi(pairs, whole);
  check_over_uwsgi(pairs, whole);
  return 0;
}
