// A whole connection's bytes: heads and bodies, one request after the other. Promises:
//   the network's cuts change nothing; what is accepted splits into the same fields by a parser of ten lines;
//   and into the same by llhttp; what only we refuse is malformed by both; nothing is consumed that is not there.
#include <algorithm>
#include <optional>
#include <string>

#include "protocol/characters.hpp"
#include "protocol/http1_chunks.hpp"
#include "protocol/http1_head.hpp"
#include "tests/fuzz/cuts.hpp"
#include "tests/wire/exact_copy.hpp"
#include "tests/wire/llhttp_witness.hpp"
#include "tests/wire/meaning.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using fuzz::must;

const HeadLimits limits{100, 8, 60};

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// The field lines of a head whose bytes were checked; nothing when one is malformed.
std::optional<wire::PlainFields> plain_split(std::string_view head) {
  wire::PlainFields fields;
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.starts_with("\r\n")) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(line.size() + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || !all(line.substr(0, colon), bytes::token)) return std::nullopt;
    fields.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }
  return fields;
}

// llhttp judges lengths and codings while it splits, each release a little differently; our own rules refuse those.
bool has_framing(const wire::PlainFields& fields) {
  return std::any_of(fields.begin(), fields.end(), [](const auto& field) {
    return same_token(field.first, "content-length") || same_token(field.first, "transfer-encoding");
  });
}

void check_against_others(std::string_view stream, const HeadFed& fed, const Head& head) {
  while (stream.starts_with("\r\n")) stream.remove_prefix(2);
  if (fed.status == Status::complete) {
    const auto fields = plain_split(stream);
    must(fields.has_value() && fields->size() == head.fields.size(), "as many fields as a plain split sees");
    for (std::size_t i = 0; i < fields->size(); ++i) {
      must((*fields)[i].first == head.fields[i].name.view(), "the same name");
      must((*fields)[i].second == head.fields[i].value.view(), "the same value");
    }
    std::uint64_t bits = 0;
    bool underscore = false;
    for (const auto& [name, value] : *fields) {
      bits |= Head::name_bit(name);
      underscore = underscore || name.find('_') != std::string_view::npos;
    }
    must(head.name_bits == bits && head.has_underscore == underscore, "what is told of the names is true");
    const std::size_t lines = stream.find("\r\n") + 2;
    must(wire::llhttp_fields(stream.substr(lines, stream.find("\r\n\r\n") + 4 - lines)) == fields, "llhttp agrees");
  } else if (std::string_view(fed.fault) == "malformed field line") {
    must(!plain_split(stream), "no valid field line is refused");
    const std::size_t lines = stream.find("\r\n") + 2;
    const auto fields = wire::llhttp_fields(stream.substr(lines, stream.find("\r\n\r\n") + 4 - lines));
    must(!fields || has_framing(*fields), "llhttp refuses it too");
  }
}

// What is told of a head that was not accepted is sound; and it is what is told of one that was.
void check_request_line(std::string_view bytes, const HeadFed& fed, const Head& head) {
  Head told;
  decode_request_line(bytes, told);
  if (fed.status == Status::complete) {
    must(told.method.view() == head.method.view() && told.target.view() == head.target.view(), "the line is told");
  }
  for (const Bytes part : {told.method, told.target}) {
    const bool inside =
        part.size == 0 || (part.data >= bytes.data() && part.data + part.size <= bytes.data() + bytes.size());
    must(inside && part.view().find_first_of("\r\n") == std::string_view::npos, "no more than a line is told");
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
    if (fed.status != Status::need_more) check_against_others(pending_, fed, head_);
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
