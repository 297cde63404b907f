#include <doctest/doctest.h>

#include <string>

#include "protocol/http1_chunks.hpp"
#include "tests/wire/exact_copy.hpp"
#include "tests/wire/http1_chunks.hpp"

namespace {

using namespace narwhal;
using namespace narwhal::protocol;
using wire::ExactCopy;

// Feeds one arrival until nothing is left of it or the decoder is through with the body.
Status feed_all(ChunkDecoder& decoder, std::string_view arrived, std::string& body, std::size_t& left_over) {
  const ExactCopy copy(arrived);
  std::string_view rest = copy.view();
  while (true) {
    const ChunkFed fed = decoder.feed(rest);
    body.append(fed.data);
    rest.remove_prefix(fed.consumed);
    left_over = rest.size();
    if (fed.status != Status::need_more || rest.empty()) return fed.status;
  }
}

std::string meaning_in_pieces(std::string_view bytes, std::size_t first, std::size_t step) {
  ChunkDecoder decoder;
  std::string body;
  std::size_t left_over = 0;
  std::size_t at = 0;
  Status status = Status::need_more;
  for (std::size_t piece = first; status == Status::need_more; piece = step) {
    const std::string_view arrived = bytes.substr(at, piece);
    status = feed_all(decoder, arrived, body, left_over);
    at += arrived.size();
    if (at >= bytes.size()) break;
  }
  if (status == Status::need_more) return "more";
  if (status == Status::refused) return std::string_view(decoder.fault()).empty() ? "400 without a fault" : "400";
  left_over += bytes.size() - at;
  return "=" + body + (left_over != 0 ? "+" + std::to_string(left_over) : "");
}

std::string meaning_at_once(std::string_view bytes) { return meaning_in_pieces(bytes, bytes.size(), 1); }

}  // namespace

TEST_CASE("chunks: a body means the same wherever the network cuts it") {
  for (const wire::Row& row : wire::chunked_bodies) {
    const std::string bytes(row.bytes);
    CAPTURE(bytes);
    CHECK(meaning_at_once(row.bytes) == row.meaning);
    CHECK(meaning_in_pieces(row.bytes, 1, 1) == row.meaning);
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
      CAPTURE(cut);
      CHECK(meaning_in_pieces(row.bytes, cut, row.bytes.size()) == row.meaning);
    }
  }
}

TEST_CASE("chunks: data comes in pieces that point into the bytes given") {
  const ExactCopy copy("5\r\nhello\r\n0\r\n\r\n");
  ChunkDecoder decoder;
  const ChunkFed fed = decoder.feed(copy.view());
  CHECK(fed.status == Status::need_more);
  CHECK(fed.data.data() == copy.view().data() + 3);
  CHECK(fed.data == "hello");
  CHECK(fed.consumed == 8);
}

TEST_CASE("chunks: refusal and completion are final") {
  ChunkDecoder refused;
  REQUIRE(refused.feed("x").status == Status::refused);
  CHECK(refused.feed("0\r\n\r\n").status == Status::refused);
  ChunkDecoder complete;
  REQUIRE(complete.feed("0\r\n\r\n").status == Status::complete);
  CHECK(complete.feed("5\r\n").status == Status::complete);
  CHECK(complete.feed("5\r\n").consumed == 0);
}

TEST_CASE("chunks: extensions of a message may be 4 KiB together and no more") {
  // ";a" costs 2 bytes and its CR 1, that is 3 of the 4096 for each of these lines.
  const auto lines = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "1;a\r\nx\r\n";
    return text;
  };
  CHECK(meaning_at_once(lines(1365) + "0\r\n\r\n") == "=" + std::string(1365, 'x'));
  CHECK(meaning_at_once(lines(1366)) == "400");
  CHECK(meaning_at_once("1;" + std::string(4094, 'a') + "\r\n") == "more");
  CHECK(meaning_at_once("1;" + std::string(4095, 'a') + "\r\n") == "400");
  CHECK(meaning_in_pieces("1;" + std::string(4095, 'a') + "\r\n", 1, 1) == "400");
}

TEST_CASE("chunks: trailers may be 8 KiB together and no more") {
  CHECK(meaning_at_once("0\r\nX:" + std::string(8192 - 6, 'a') + "\r\n\r\n") == "=");
  CHECK(meaning_at_once("0\r\nX:" + std::string(8192 - 5, 'a') + "\r\n\r\n") == "400");
  std::string many = "0\r\n";
  while (many.size() <= 8192 + 3) many += "X:\r\n";
  CHECK(meaning_at_once(many) == "400");
}

TEST_CASE("chunks: a long trailer name that begins like a forbidden one is its own") {
  CHECK(meaning_at_once("0\r\nhost" + std::string(300, 't') + ": x\r\n\r\n") == "=");
  CHECK(meaning_at_once("0\r\n" + std::string(600, 't') + ": x\r\n\r\n") == "=");
}

TEST_CASE("chunks: every byte of a size line is a digit, the start of an extension, or refused") {
  for (int i = 0; i < 256; ++i) {
    CAPTURE(i);
    const bool digit = std::string_view("0123456789abcdefABCDEF").find(static_cast<char>(i)) != std::string_view::npos;
    CHECK((meaning_at_once(std::string(1, static_cast<char>(i))) == "more") == digit);
    const bool after_digit = digit || i == ';' || i == '\r';
    CHECK((meaning_at_once("1" + std::string(1, static_cast<char>(i))) == "more") == after_digit);
  }
}

TEST_CASE("chunks: the size line that is written is the one that is read") {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{9}, std::uint64_t{16}, std::uint64_t{0x1a2b},
                                   std::uint64_t{1} << 63, UINT64_MAX}) {
    char out[chunk_line_bytes_max];
    const std::string_view line(out, encode_chunk_line(size, out));
    CHECK(line.substr(line.size() - 2) == "\r\n");
    CHECK(std::stoull(std::string(line), nullptr, 16) == size);
  }
  char out[chunk_line_bytes_max];
  CHECK(std::string_view(out, encode_chunk_line(0x1a2b, out)) == "1a2b\r\n");
  CHECK(std::string_view(out, encode_chunk_line(0, out)) == "0\r\n");
}
