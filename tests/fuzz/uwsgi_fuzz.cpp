// uwsgi packets. Promises: more bytes change no refusal and no head; nothing is consumed or read that is not there; what is
// asked for is what is missing; the variables are those that are cut by hand, and over FastCGI they mean the same.
#include <algorithm>
#include <string>

#include "protocol/uwsgi_head.hpp"
#include "tests/fuzz/cgi_promises.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace narwhal;
  const fuzz::Input input = fuzz::input_of(data, size);
  const std::string whole = fuzz::check_cuts(input, protocol::decode_uwsgi_head);
  if (!fuzz::is_complete(whole)) return 0;
  const std::string_view stream = input.stream;
  const auto number = [&](std::size_t at) {
    return static_cast<std::size_t>(static_cast<unsigned char>(stream[at])) |
           static_cast<std::size_t>(static_cast<unsigned char>(stream[at + 1])) << 8;
  };
  fuzz::must(stream[0] == 0 && stream[3] == 0, "the modifiers are 0");
  const std::size_t end = 4 + number(1);
  wire::Pairs pairs;
  for (std::size_t at = 4; at != end;) {
    const std::size_t name = number(at), value = number(at + 2 + name);
    fuzz::must(at + 4 + name + value <= end, "no variable reaches beyond the packet");
    pairs.emplace_back(stream.substr(at + 2, name), stream.substr(at + 4 + name, value));
    at += 4 + name + value;
  }
  fuzz::must(whole.ends_with(" +" + std::to_string(stream.size() - end)), "the head ends where its size says");
  fuzz::must(wire::uwsgi_packet(pairs) == stream.substr(0, end), "decoding turns encoding around");
  fuzz::check_over_fastcgi(pairs, whole);
  return 0;
}
