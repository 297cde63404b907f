// A whole connection's bytes: heads and bodies, one request after the other. Promises:
//   the network's cuts change nothing; what llhttp cut and we accepted is cut in the same places by hand, and what it
//   could not cut is malformed by hand too; nothing is consumed that is not there.
#include <algorithm>
#include <initializer_list>
#include <string>

#include "protocol/http1_chunks.hpp"
#include "protocol/http1_head.hpp"
#include "tests/fuzz/cuts.hpp"
#include "tests/wire/exact_copy.hpp"
#include "tests/wire/head_witness.hpp"
#include "tests/wire/meaning.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using fuzz::must;

const HeadLimits limits{100, 8, 60};

bool same_place(std::string_view one, std::string_view other) {
  return one.data() == other.data() && one.size() == other.size();
}

void check_accepted(const wire::PlainHead& plain, const Head& head) {
  must(same_place(head.method, plain.method), "the same method");
  must(same_place(head.target, plain.target), "the same target");
  must(plain.version == (head.minor == 1 ? "1.1" : "1.0"), "the same version");
  must(plain.fields.size() == head.fields.size(), "as many fields");
  std::uint64_t bits = 0;
  bool underscore = false;
  for (std::size_t i = 0; i < head.fields.size(); ++i) {
    const auto& [name, value] = plain.fields[i];
    must(same_place(head.fields[i].name, name), "the same name");
    must(same_place(head.fields[i].value, value), "the same value");
    bits |= Head::name_bit(name);
    underscore = underscore || name.find('_') != std::string_view::npos;
  }
  must(head.name_bits == bits && head.has_underscore == underscore, "what is said of the names is true");
}

bool is_one_of(std::string_view fault, std::initializer_list<std::string_view> faults) {
  return std::find(faults.begin(), faults.end(), fault) != faults.end();
}

// Of the line alone: by hand, a head without fields.
bool is_sound_line(std::string_view bytes) {
  const std::string line(bytes.substr(0, bytes.find("\r\n")));
  return wire::cut_by_hand(line + "\r\n\r\n").has_value();
}

void check_against_witness(std::string_view bytes, const HeadFed& fed, const Head& head) {
  for (int i = 0; i < 2 && bytes.starts_with("\r\n"); ++i) bytes.remove_prefix(2);
  if (fed.status == Status::complete) {
    const auto plain = wire::cut_by_hand(bytes);
    must(plain.has_value(), "what is accepted can be cut by hand");
    check_accepted(*plain, head);
  } else if (is_one_of(fed.fault, {"malformed field line", "empty field name"})) {
    must(!wire::cut_by_hand(bytes), "no sound field line is refused");
  } else if (is_one_of(fed.fault, {"malformed method", "malformed version", "request line without a version",
                                   "request line without a target and a version", "empty target",
                                   "too many empty lines before the request"})) {
    must(!is_sound_line(bytes), "no sound request line is refused");
  }
}

// The request line that is known of a refused head is sound, and it is that of the head where one was accepted.
void check_request_line(std::string_view bytes, const HeadFed& fed, const Head& head) {
  Head line;
  decode_request_line(bytes, line);
  if (fed.status == Status::complete) {
    must(line.method.view() == head.method.view() && line.target.view() == head.target.view(), "the line is the same");
  }
  for (const Bytes part : {line.method, line.target}) {
    const bool inside =
        part.size == 0 || (part.data >= bytes.data() && part.data + part.size <= bytes.data() + bytes.size());
    must(inside && part.view().find_first_of("\r\n") == std::string_view::npos, "no more than a line is known");
  }
}

// One side of the connection: what has arrived and is not used up yet, in a block of exactly its size.
class Connection {
 public:
  // False: the connection is over.
  bool arrive(std::string_view piece) {
    pending_ += piece;
    while (!pending_.empty()) {
      const std::size_t before = pending_.size();
      const bool in_body = in_body_;
      if (!(in_body_ ? body() : head())) return false;
      if (pending_.size() == before && in_body == in_body_) break;
    }
    return true;
  }
  const std::string& transcript() const { return transcript_; }

 private:
  bool head() {
    const wire::ExactCopy copy(pending_);
    const HeadFed fed = decode_head(copy.view(), scanned_, limits, head_);
    must(fed.consumed <= pending_.size() && fed.scanned <= pending_.size(), "nothing consumed that is not there");
    check_request_line(copy.view(), fed, head_);
    if (fed.status != Status::need_more) check_against_witness(copy.view(), fed, head_);
    scanned_ = fed.scanned;
    if (fed.status == Status::need_more) return true;
    transcript_ += wire::meaning_of(fed, head_) + "\n";
    if (fed.status == Status::refused) return false;
    pending_.erase(0, fed.consumed);
    scanned_ = 0;
    left_ = head_.content_length;
    in_body_ = head_.framing == Framing::chunked || left_ > 0;
    chunks_ = ChunkDecoder{};
    return true;
  }

  bool body() {
    if (head_.framing == Framing::chunked) return chunked_body();
    const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left_, pending_.size()));
    transcript_ += pending_.substr(0, piece);
    pending_.erase(0, piece);
    left_ -= piece;
    in_body_ = left_ > 0;
    return true;
  }

  bool chunked_body() {
    const wire::ExactCopy copy(pending_);
    const ChunkFed fed = chunks_.feed(copy.view());
    must(fed.consumed <= pending_.size(), "nothing consumed that is not there");
    transcript_ += fed.data;
    pending_.erase(0, fed.consumed);
    if (fed.status == Status::refused) transcript_ += chunks_.fault();
    if (fed.status == Status::complete) in_body_ = false;
    return fed.status != Status::refused;
  }

  std::string pending_, transcript_;
  Head head_;
  std::size_t scanned_ = 0;
  bool in_body_ = false;
  std::uint64_t left_ = 0;
  ChunkDecoder chunks_;
};

template <class NextSize>
std::string converse(std::string_view stream, NextSize next_size) {
  Connection connection;
  while (!stream.empty()) {
    const std::string_view piece = stream.substr(0, next_size());
    stream.remove_prefix(piece.size());
    if (!connection.arrive(piece)) break;
  }
  return connection.transcript();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::input_of(data, size);
  const std::string whole = converse(input.stream, [&] { return input.stream.size(); });
  fuzz::Cuts cuts(input.seed);
  must(converse(input.stream, [&] { return cuts.next(); }) == whole, "cuts change nothing");
  if (input.stream.size() < 500)
    must(converse(input.stream, [] { return 1u; }) == whole, "byte by byte it is the same");
  return 0;
}
