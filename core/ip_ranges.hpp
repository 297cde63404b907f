// IP addresses, and lists of them and of CIDR ranges: "127.0.0.1,10.0.0.0/8,2001:db8::/32", or "*" for every address.
// Equality  an IPv4 address mapped into IPv6 (::ffff:192.0.2.1) is that IPv4 address, and only IPv4 ranges contain it.
// Errors    a malformed list is an Error that names the item. Looking up never fails.
// Threads   values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal {

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};  // IPv4 addresses are mapped into IPv6

  // As inet_pton reads it: without zone, port, brackets or octal numbers.
  static std::optional<IpAddress> parse(std::string_view text) noexcept;
  bool is_v4() const noexcept;
  bool operator==(const IpAddress&) const = default;
};

class IpRanges {
 public:
  IpRanges() = default;
  // For lists in the code: a malformed one ends the program.
  explicit IpRanges(std::string_view list);

  // Appends each item of a comma-separated list; blanks around an item are ignored. After an Error nothing is added.
  Result<Done> add(std::string_view list);
  bool contains(const IpAddress& address) const noexcept;
  bool contains(std::string_view address) const noexcept;  // false if the text is not an address
  bool empty() const noexcept { return ranges_.empty(); }
  // One text per item, which add() can read back.
  std::vector<std::string> texts() const;
  bool operator==(const IpRanges&) const = default;

 private:
  struct Range {
    IpAddress first;
    unsigned prefix = 0;  // bits of `first` that count; of 128, for IPv4 too
    bool all = false;     // "*"
    bool operator==(const Range&) const = default;
  };
  static Result<Range> parse_range(std::string_view text);
  std::vector<Range> ranges_;
};

}  // namespace narwhal
