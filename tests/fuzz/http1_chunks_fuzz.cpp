// A chunked body. Promises: the network's cuts change nothing, pieces lie inside what was given, refusal and
// completion are final, and a body written again chunk by chunk is read back.
#include <string>

#include "protocol/http1_chunks.hpp"
#include "tests/fuzz/cuts.hpp"
#include "tests/wire/exact_copy.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using fuzz::must;

struct Outcome {
  Status status = Status::need_more;
  std::size_t consumed = 0;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

template <class NextSize>
Outcome decode(std::string_view stream, NextSize next_size) {
  Outcome outcome;
  ChunkDecoder decoder;
  while (!stream.empty() && outcome.status == Status::need_more) {
    const wire::ExactCopy copy(stream.substr(0, next_size()));
    stream.remove_prefix(copy.view().size());
    for (std::string_view rest = copy.view(); !rest.empty() && outcome.status == Status::need_more;) {
      const ChunkFed fed = decoder.feed(rest);
      must(fed.consumed <= rest.size() && fed.data.size() <= fed.consumed, "no more is consumed than given");
      must(fed.consumed > 0 || fed.status == Status::refused, "it goes on");
      outcome.status = fed.status;
      outcome.consumed += fed.consumed;
      outcome.body += fed.data;
      rest.remove_prefix(fed.consumed);
    }
  }
  if (outcome.status != Status::need_more) {
    must(decoder.feed("0\r\n\r\n").status == outcome.status, "the end is final");
    must((*decoder.fault() != '\0') == (outcome.status == Status::refused), "a refusal has a reason, and nothing else");
  }
  return outcome;
}

std::string encode(std::string_view body, fuzz::Cuts cuts) {
  std::string stream;
  char line[chunk_line_bytes_max];
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, cuts.next());
    stream.append(line, encode_chunk_line(piece.size(), line)).append(piece).append("\r\n");
    body.remove_prefix(piece.size());
  }
  return stream.append(line, encode_chunk_line(0, line)).append("\r\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::input_of(data, size);
  const Outcome whole = decode(input.stream, [&] { return input.stream.size(); });
  fuzz::Cuts cuts(input.seed);
  must(decode(input.stream, [&] { return cuts.next(); }) == whole, "cuts change nothing");
  must(decode(input.stream, [] { return 1u; }) == whole, "byte by byte it is the same");
  const std::string again = encode(input.stream, fuzz::Cuts(input.seed));
  const Outcome read_back = decode(again, [&] { return cuts.next(); });
  must(read_back == Outcome{Status::complete, again.size(), std::string(input.stream)}, "what is written is read");
  return 0;
}
