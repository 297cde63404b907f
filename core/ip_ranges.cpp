#include "core/ip_ranges.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/check.hpp"

namespace narwhal {
namespace {

constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned all_bits = 128, mapped_bits = 96;

// Whether the first `count` bits are the same.
bool same_bits(const IpAddress& left, const IpAddress& right, unsigned count) noexcept {
  const std::size_t whole = count / 8;
  if (std::memcmp(left.bytes.data(), right.bytes.data(), whole) != 0) return false;
  const unsigned rest = count % 8;
  return rest == 0 || (left.bytes[whole] ^ right.bytes[whole]) >> (8 - rest) == 0;
}

IpAddress without_bits_after(IpAddress address, unsigned count) noexcept {
  for (unsigned bit = count; bit < all_bits; ++bit)
    address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> bit % 8));
  return address;
}

std::string text_of(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const bool v4 = address.is_v4();
  ::inet_ntop(v4 ? AF_INET : AF_INET6, address.bytes.data() + (v4 ? mapped.size() : 0), text, sizeof text);
  return text;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  IpAddress address;
  if (text.find(':') != std::string_view::npos) {
    if (::inet_pton(AF_INET6, terminated, address.bytes.data()) != 1) return std::nullopt;
    return address;
  }
  std::copy(mapped.begin(), mapped.end(), address.bytes.begin());
  if (::inet_pton(AF_INET, terminated, address.bytes.data() + mapped.size()) != 1) return std::nullopt;
  return address;
}

bool IpAddress::is_v4() const noexcept { return std::memcmp(bytes.data(), mapped.data(), mapped.size()) == 0; }

IpRanges::IpRanges(std::string_view list) { NARWHAL_CHECK(add(list)); }

Result<IpRanges::Range> IpRanges::parse_range(std::string_view text) {
  if (text == "*") return Range{.first = {}, .prefix = 0, .all = true};
  const std::string shown(text);
  const std::size_t slash = text.find('/');
  const std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  if (!address) return Error{"'" + shown + "' is not an IP address or a range such as 10.0.0.0/8"};
  if (slash == std::string_view::npos) return Range{.first = *address, .prefix = all_bits};

  const std::string_view digits = text.substr(slash + 1);
  const unsigned offset = text.find(':') == std::string_view::npos ? mapped_bits : 0;
  unsigned bits = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const bool well_formed = code == std::errc() && end == digits.data() + digits.size() &&
                           (digits.size() == 1 || digits.front() != '0') && bits <= all_bits - offset;
  if (!well_formed) {
    return Error{"'" + shown + "': the prefix length after the slash must be 0 to " +
                 std::to_string(all_bits - offset)};
  }
  const IpAddress first = without_bits_after(*address, offset + bits);
  if (first != *address) {
    return Error{"'" + shown + "' has bits after its prefix: did you mean '" + text_of(first) + "/" +
                 std::string(digits) + "'?"};
  }
  return Range{.first = first, .prefix = offset + bits};
}

Result<Done> IpRanges::add(std::string_view list) {
  std::vector<Range> added;
  for (bool more = !trimmed(list).empty(); more;) {
    const std::size_t comma = list.find(',');
    Result<Range> range = parse_range(trimmed(list.substr(0, comma)));
    if (!range) return Error{range.error()};
    added.push_back(*range);
    more = comma != std::string_view::npos;
    if (more) list.remove_prefix(comma + 1);
  }
  ranges_.insert(ranges_.end(), added.begin(), added.end());
  return Done{};
}

bool IpRanges::contains(const IpAddress& address) const noexcept {
  const bool v4 = address.is_v4();
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return range.all || (range.first.is_v4() == v4 && same_bits(range.first, address, range.prefix));
  });
}

bool IpRanges::contains(std::string_view address) const noexcept {
  const std::optional<IpAddress> parsed = IpAddress::parse(address);
  return parsed && contains(*parsed);
}

std::vector<std::string> IpRanges::texts() const {
  std::vector<std::string> texts;
  for (const Range& range : ranges_) {
    const unsigned bits = range.first.is_v4() ? range.prefix - mapped_bits : range.prefix;
    if (range.all) {
      texts.emplace_back("*");
    } else if (range.prefix == all_bits) {
      texts.push_back(text_of(range.first));
    } else {
      texts.push_back(text_of(range.first) + "/" + std::to_string(bits));
    }
  }
  return texts;
}

}  // namespace narwhal
