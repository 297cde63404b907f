// What the fuzzers of SCGI and uwsgi have in common: a head that is decoded whole, and the same variables over FastCGI.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "tests/fuzz/cuts.hpp"
#include "tests/wire/cgi_encode.hpp"
#include "tests/wire/cgi_meaning.hpp"
#include "tests/wire/exact_copy.hpp"
#include "tests/wire/fastcgi_conversation.hpp"

namespace narwhal::fuzz {

inline const protocol::HeadLimits cgi_limits{.request_line = 100, .fields = 8, .field_size = 60};

// Neither "more" nor a refusal, which begins with its status and a colon.
inline bool is_complete(const std::string& meaning) {
  const bool is_refused = meaning.find_first_not_of("0123456789") == 3 && meaning[3] == ':';
  return meaning != "more" && !is_refused;
}

inline bool inside(std::string_view all, std::string_view view) {
  return view.data() >= all.data() && view.data() + view.size() <= all.data() + all.size();
}

// Views are of the bytes, of what was made of them, or literals, of which there are few.
inline void check_views(std::string_view bytes, const protocol::Head& head, const protocol::CgiRequest& request) {
  const std::string_view made(request.made.data(), request.made.size());
  must(inside(bytes, head.method), "the method is of the bytes");
  must(inside(bytes, head.target) || inside(made, head.target), "the target is of the bytes, or was made");
  for (const Field& field : head.fields) {
    const std::string_view name = field.name;
    must(inside(bytes, name) || name == "Content-Type" || name == "Content-Length", "names are of the bytes");
    must(inside(bytes, field.value), "values are of the bytes");
    must(name.find('_') == std::string_view::npos, "a name has no underscore");
    must(field.value.view().find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
         "nothing ends a line");
    must((head.name_bits & protocol::Head::name_bit(name)) != 0, "each name has its bit");
  }
  for (const Field& variable : request.variables) must(inside(bytes, variable.value), "variables are of the bytes");
  must(request.prefix_size <= head.path.size, "the prefix is a part of the path");
  must(head.framing != protocol::Framing::chunked, "nothing is chunked");
}

// What was decoded, with its names rewritten, means the same when it is decoded again.
template <class Decode>
std::string decode_at_once(std::string_view stream, Decode decode) {
  wire::ExactCopy copy(stream);
  protocol::Head head;
  protocol::CgiRequest request;
  const protocol::CgiFed fed = decode(copy.span(), cgi_limits, head, request);
  must(fed.consumed <= stream.size(), "no more is consumed than given");
  must((fed.refusal.http_status != 0) == (fed.status == protocol::Status::refused), "a refusal has a status");
  must((fed.needed != 0) == (fed.status == protocol::Status::need_more), "bytes are asked for where some are missing");
  const std::string meaning = wire::meaning_of(fed, head, request, stream.size());
  if (fed.status != protocol::Status::complete) {
    must(head.fields.empty() || fed.status == protocol::Status::need_more, "a refused head has no fields");
    return meaning;
  }
  check_views(copy.view(), head, request);
  const protocol::CgiFed again = decode(copy.span(), cgi_limits, head, request);
  must(wire::meaning_of(again, head, request, stream.size()) == meaning, "the same again is the same");
  return meaning;
}

// The meaning of the stream, which is the same in whatever pieces it comes.
template <class Decode>
std::string check_cuts(const Input& input, Decode decode) {
  const std::string whole = decode_at_once(input.stream, decode);
  Cuts cuts(input.seed);
  for (std::size_t there = 0; there < input.stream.size();) {
    there = std::min(input.stream.size(), there + cuts.next());
    const std::string some = decode_at_once(input.stream.substr(0, there), decode);
    if (some == "more") continue;
    // A whole head says how many bytes follow it.
    must(some.substr(0, some.rfind(" +")) == whole.substr(0, whole.rfind(" +")), "cuts change nothing");
    return whole;
  }
  must(whole == "more" || input.stream.empty(), "cuts change nothing");
  return whole;
}

// But for how many bytes follow.
inline bool same_request(const std::string& one, const std::string& other) {
  return one.substr(0, one.rfind(" +")) == other.substr(0, other.rfind(" +"));
}

inline void check_over_fastcgi(const wire::Pairs& pairs, const std::string& meaning) {
  const std::string stream = wire::fcgi_begin_request(1, 0) +
                             wire::fcgi_stream(wire::fcgi_params, 1, wire::fcgi_pairs(pairs), 50, 3) +
                             wire::fcgi_record(wire::fcgi_stdin, 1);
  const std::string transcript = wire::fastcgi_transcript(
      stream, wire::Answers::at_once, [&] { return stream.size(); }, cgi_limits);
  // Its lengths may take more bytes.
  if (transcript == "431: FastCGI PARAMS too long\n") return;
  must(transcript.starts_with("head: " + meaning.substr(0, meaning.rfind(" +"))), "FastCGI says the same");
}

}  // namespace narwhal::fuzz
