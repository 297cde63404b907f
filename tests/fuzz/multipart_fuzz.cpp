// multipart/form-data: any cut of a body gives the same parts or the same refusal, and no part is longer than the body.
#include <algorithm>
#include <string>

#include "narwhal/multipart.hpp"
#include "tests/fuzz/cuts.hpp"

namespace {

using narwhal::fuzz::must;

// The parts as text, the refusal as its status. `cuts` may be null: then the body comes at once.
std::string parts_of(std::string_view body, narwhal::fuzz::Cuts* cuts) {
  const auto source = [&body, cuts](std::span<char> room) {
    std::size_t size = std::min(room.size(), body.size());
    if (cuts != nullptr) size = std::min(size, cuts->next());
    std::copy_n(body.data(), size, room.data());
    body.remove_prefix(size);
    return size;
  };
  const std::size_t whole = body.size();
  const narwhal::MultipartLimits limits{
      .parts = 8, .head_bytes = 256, .text_bytes = 4096, .part_bytes = 512, .total_bytes = 1024};
  std::string seen;
  try {
    narwhal::MultipartReader parts(source, "multipart/form-data; boundary=B", limits);
    while (const narwhal::Part* part = parts.next()) {
      const std::string text = parts.text();
      must(text.size() <= whole && text.size() <= 512, "a part is within its limit");
      seen += part->name + "\n" + part->file_name.value_or("-") + "\n" + part->type + "\n" + text + "\n";
    }
  } catch (const narwhal::HttpError& error) {
    must(error.status() == 400 || error.status() == 413, "a refusal is 400 or 413");
    seen += std::to_string(error.status());
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const narwhal::fuzz::Input input = narwhal::fuzz::input_of(data, size);
  narwhal::fuzz::Cuts cuts(input.seed);
  const std::string whole = parts_of(input.stream, nullptr), cut = parts_of(input.stream, &cuts);
  must(whole == cut, "every cut gives the same parts and the same refusal");
  return 0;
}
