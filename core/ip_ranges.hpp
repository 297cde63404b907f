// IP addresses, and lists of them and of CIDR ranges: "127.0.0.1,10.0.0.0/8,2001:db8::/32", or "*" for every address.
// Sameness  an IPv4 address mapped into IPv6 (::ffff:192.0.2.1) is that IPv4 address, and only IPv4 ranges hold it.
// Errors    a list that is malformed is an Error that names the item. Looking up never fails.
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
  std::array<std::uint8_t, 16> bytes{};  // IPv4 lies mapped in them

  // As inet_pton has it: no zone, no port, no brackets, no octal.
  static std::optional<IpAddress> parse(std::string_view text) noexcept;
  bool is_v4() const noexcept;
  bool operator==(const IpAddress&) const = default;
};

class IpRanges {
 public:
  IpRanges() = default;
  // For lists that stand in the code: a malformed one ends the program.
  explicit IpRanges(std::string_view list);

  // Appends each item of a list that is parted by commas; blanks around one do not count. After an Error nothing is added.
  Result<Done> add(std::string_view list);
  bool contains(const IpAddress& address) const noexcept;
  bool contains(std::string_view address) const noexcept;  // false for what is no address
  bool empty() const noexcept { return ranges_.empty(); }
  // One text an item, which add() reads back.
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
