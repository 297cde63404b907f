// A head that the decoders of SCGI and uwsgi take whole, given to them as it arrives in pieces.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "tests/wire/cgi_meaning.hpp"
#include "tests/wire/exact_copy.hpp"

namespace narwhal::wire {

// `decode` is called as decode_scgi_head() is. The bytes arrive up to `first`, then `step` more at a time, each time in
// another block, as a buffer that grows moves.
template <class Decode>
std::string meaning_in_pieces(std::string_view bytes, std::size_t first, std::size_t step, Decode decode,
                              const protocol::HeadLimits& limits = {}) {
  for (std::size_t arrived = first;; arrived += step) {
    const std::size_t there = std::min(arrived, bytes.size());
    ExactCopy copy(bytes.substr(0, there));
    protocol::Head head;
    protocol::CgiRequest request;
    const protocol::CgiFed fed = decode(copy.span(), limits, head, request);
    const bool waits = fed.status == protocol::Status::need_more;
    CHECK(waits == (fed.needed != 0));
    CHECK(fed.consumed <= there);
    if (waits) CHECK(copy.view() == bytes.substr(0, there));  // nothing is rewritten before the head is whole
    // What is needed never reaches beyond the head: with a byte less it is not whole.
    if (waits && there + fed.needed <= bytes.size()) {
      ExactCopy less(bytes.substr(0, there + fed.needed - 1));
      CHECK(decode(less.span(), limits, head, request).status != protocol::Status::complete);
    }
    if (waits && there < bytes.size()) continue;
    return meaning_of(fed, head, request, bytes.size());
  }
}

template <class Decode>
void check_every_cut(std::string_view bytes, std::string_view meaning, Decode decode) {
  const std::string shown(bytes);
  CAPTURE(shown);
  CHECK(meaning_in_pieces(bytes, bytes.size(), 1, decode) == meaning);
  CHECK(meaning_in_pieces(bytes, 0, 1, decode) == meaning);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(meaning_in_pieces(bytes, cut, bytes.size() - cut, decode) == meaning);
  }
}

}  // namespace narwhal::wire
