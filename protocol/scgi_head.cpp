#include "protocol/scgi_head.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "protocol/characters.hpp"
#include "protocol/sixteen_bytes.hpp"

namespace narwhal::protocol {
namespace {

CgiFed refused(const Refusal& refusal) noexcept {
  CgiFed fed;
  fed.status = Status::refused;
  fed.refusal = refusal;
  return fed;
}

CgiFed need(std::size_t bytes) noexcept {
  CgiFed fed;
  fed.needed = bytes;
  return fed;
}

// Takes the bytes before the next NUL off the front, and it. False: there is none.
bool take_terminated(std::span<char>& left, std::span<char>& taken) noexcept {
  const char* const end = left.data() + left.size();
  const char* const nul = find_nul(left.data(), end);
  if (nul == end) return false;
  taken = left.first(static_cast<std::size_t>(nul - left.data()));
  left = left.subspan(taken.size() + 1);
  return true;
}

// Finds a name that was there before. One bit of 256 each distinguishes most of them; where the bit is set already, the names
// are compared.
class Names {
 public:
  // The last of the list is new.
  bool repeats(const std::vector<Field>& list) noexcept {
    const std::string_view name = list.back().name;
    const unsigned bit = hash(name);
    std::uint64_t& word = seen_[bit / 64];
    const std::uint64_t mask = std::uint64_t{1} << bit % 64;
    const bool maybe = (word & mask) != 0;
    word |= mask;
    if (!maybe) return false;
    return std::any_of(list.begin(), list.end() - 1, [&](const Field& each) { return each.name.view() == name; });
  }

 private:
  // Of the name's first and last bytes and its size.
  static unsigned hash(std::string_view name) noexcept {
    std::uint64_t first = 0, last = 0;
    const std::size_t size = std::min(name.size(), sizeof first);
    if (size == sizeof first) [[likely]] {
      std::memcpy(&first, name.data(), sizeof first);
      std::memcpy(&last, name.data() + name.size() - sizeof last, sizeof last);
    } else {
      std::memcpy(&first, name.data(), size);
    }
    constexpr std::uint64_t mixer = 0x9e3779b97f4a7c15;  // any odd number with many bits
    return static_cast<unsigned>(((first * mixer ^ last) + name.size()) * mixer >> 56);
  }
  std::array<std::uint64_t, 4> seen_{};
};

// The variables but their duplicates, which need the lists that they go to.
class ScgiVariables {
 public:
  ScgiVariables(std::span<char> head_bytes, const HeadLimits& limits, Head& head, CgiRequest& request) noexcept
      : head_(head), request_(request), variables_(head_bytes, limits, head, request) {}

  Refusal decode(std::span<char> block) {
    bool is_first = true, is_scgi_1 = false;
    while (!block.empty()) {
      std::span<char> name, value;
      if (!take_terminated(block, name) || !take_terminated(block, value)) {
        return {400, "SCGI variable without NUL at its end"};
      }
      const std::string_view name_text(name.data(), name.size()), text(value.data(), value.size());
      if (is_first && name_text != "CONTENT_LENGTH") return {400, "CONTENT_LENGTH is not the first SCGI variable"};
      if (is_first && text.empty()) return {400, "malformed Content-Length"};
      is_first = false;
      if (name_text == "SCGI") is_scgi_1 = text == "1";
      if (const Refusal refusal = add(name, text)) return refusal;
    }
    return is_scgi_1 ? variables_.finish() : Refusal{400, "SCGI is not 1"};
  }

 private:
  Refusal add(std::span<char> name, std::string_view value) {
    constexpr Refusal twice{400, "SCGI variable twice"};
    const std::size_t fields = head_.fields.size(), others = request_.variables.size();
    if (const Refusal refusal = variables_.add(name, value)) return refusal;
    if (head_.fields.size() != fields) return field_names_.repeats(head_.fields) ? twice : Refusal{};
    if (request_.variables.size() != others) return names_.repeats(request_.variables) ? twice : Refusal{};
    // One of the few that are in no list. Their sizes differ, and are below 64.
    const std::uint64_t mask = std::uint64_t{1} << name.size() % 64;
    if ((left_out_ & mask) != 0) return twice;
    left_out_ |= mask;
    return {};
  }

  Head& head_;
  CgiRequest& request_;
  CgiVariables variables_;
  Names names_, field_names_;
  std::uint64_t left_out_ = 0;
};

// ---- the netstring's size ----

struct Size {
  std::size_t digits = 0;  // that it is written with
  std::size_t value = 0;
  bool whole = false;  // its colon is there
  Refusal refusal;
};

Size read_size(std::span<const char> bytes, std::size_t most) noexcept {
  Size size;
  for (const char c : bytes) {
    if (c == ':' && size.digits > 0) {
      size.whole = true;
      return size;
    }
    const bool leading_zero = size.digits > 0 && size.value == 0;
    if (!is(c, bytes::digit) || leading_zero) {
      size.refusal = {400, "SCGI head does not begin with its size"};
      return size;
    }
    // Checked at each digit: the sum cannot overflow, and no memory is promised to a peer that lies.
    size.value = size.value * 10 + static_cast<std::size_t>(c - '0');
    ++size.digits;
    if (size.value > most) {
      size.refusal = {431, "SCGI head too long"};
      return size;
    }
  }
  return size;
}

}  // namespace

CgiFed decode_scgi_head(std::span<char> bytes, const HeadLimits& limits, Head& head, CgiRequest& request) {
  const Size size = read_size(bytes, head_bytes_max(limits));
  if (size.refusal) return refused(size.refusal);
  if (!size.whole) return need(1);
  const std::size_t begin = size.digits + 1, end = begin + size.value;  // of the variables
  if (bytes.size() <= end) return need(end + 1 - bytes.size());
  if (bytes[end] != ',') return refused({400, "SCGI head without a comma after it"});
  ScgiVariables variables(bytes.first(end + 1), limits, head, request);
  if (const Refusal refusal = variables.decode(bytes.subspan(begin, size.value))) {
    head.fields.clear();
    return refused(refusal);
  }
  head.keep_alive = false;
  CgiFed fed;
  fed.status = Status::complete;
  fed.consumed = end + 1;
  return fed;
}

}  // namespace narwhal::protocol
