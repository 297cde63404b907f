// A whole FastCGI connection, with a server that answers each request at once, or never. Promises: the network's cuts change
// nothing; nothing is consumed that is not there; what is kept of a head is its PARAMS and what came with the first of them; the
// records of a head that are said to be intact are the request, for whoever gets them; a record reader made by hand sees the
// same bodies.
#include <algorithm>
#include <string>

#include "tests/fuzz/cuts.hpp"
#include "tests/wire/cgi_encode.hpp"
#include "tests/wire/fastcgi_conversation.hpp"

namespace {

using namespace narwhal;
using fuzz::must;
using wire::Answers;

const protocol::HeadLimits limits{.request_line = 100, .fields = 8, .field_size = 60};

template <class NextSize>
std::string converse(std::string_view stream, Answers answers, NextSize next_size) {
  wire::FastcgiConversation conversation(answers, limits);
  bool goes_on = true;
  std::size_t largest = 0;
  while (goes_on && !stream.empty()) {
    const std::string_view piece = stream.substr(0, next_size());
    stream.remove_prefix(piece.size());
    goes_on = conversation.arrive(piece);
    largest = std::max(largest, piece.size());
    must(conversation.reader().kept() <= head_bytes_max(limits) + largest, "what is kept is bounded");
  }
  return conversation.transcript();
}

// The records of the last head, given to another server, are the same request.
void check_intact(std::string_view stream) {
  wire::FastcgiConversation conversation(Answers::at_once, limits);
  conversation.arrive(stream);
  if (!conversation.intact()) return;
  const std::string bytes = conversation.head_bytes();
  wire::FastcgiConversation other(Answers::at_once, limits);
  must(other.arrive(bytes), "a head that was taken is taken again");
  must(conversation.transcript().find(other.transcript()) != std::string::npos, "and means the same");
}

// By hand: what STDIN holds for the ids that are in hand when it comes. Of a stream of whole records in which there is
// one request, taken as a whole.
void check_body(std::string_view stream, const std::string& transcript) {
  const std::string_view head_mark = "head: ";
  if (!transcript.starts_with(head_mark) || transcript.find(head_mark, 1) != std::string::npos) return;
  if (!transcript.ends_with("\nend\n") || transcript.find("\nreply: ") != std::string::npos) return;
  std::string body;
  std::size_t id = 0;
  while (stream.size() >= 8) {
    const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(stream[at])); };
    const std::size_t type = byte(1), its_id = byte(2) << 8 | byte(3), content = byte(4) << 8 | byte(5);
    if (stream.size() < 8 + content + byte(6)) break;
    if (type == 1 && id == 0) id = its_id;
    if (type == 5 && its_id == id && content == 0) break;
    if (type == 5 && its_id == id) body += stream.substr(8, content);
    stream.remove_prefix(8 + content + byte(6));
  }
  must(transcript.ends_with(body.empty() ? "\nend\n" : "body: " + body + "\nend\n"), "the body is what STDIN holds");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::input_of(data, size);
  for (const Answers answers : {Answers::at_once, Answers::never}) {
    const std::string whole = converse(input.stream, answers, [&] { return input.stream.size(); });
    fuzz::Cuts cuts(input.seed);
    must(converse(input.stream, answers, [&] { return cuts.next(); }) == whole, "cuts change nothing");
    if (input.stream.size() < 200) {
      must(converse(input.stream, answers, [] { return 1u; }) == whole, "byte by byte it is the same");
    }
    if (answers == Answers::at_once) check_body(input.stream, whole);
  }
  check_intact(input.stream);
  return 0;
}
