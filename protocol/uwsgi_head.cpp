#include "protocol/uwsgi_head.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::size_t size_bytes = 2;

std::size_t size_at(const char* at) noexcept {
  return static_cast<unsigned char>(at[0]) | static_cast<std::size_t>(static_cast<unsigned char>(at[1])) << 8;
}

// Takes what its size announces off the front. False: it is longer than what is left.
bool take_sized(std::span<char>& left, std::span<char>& taken) noexcept {
  if (left.size() < size_bytes) return false;
  const std::size_t size = size_at(left.data());
  if (left.size() - size_bytes < size) return false;
  taken = left.subspan(size_bytes, size);
  left = left.subspan(size_bytes + size);
  return true;
}

Refusal decode_variables(std::span<char> block, CgiVariables& variables) {
  while (!block.empty()) {
    std::span<char> name, value;
    if (!take_sized(block, name)) return {400, "uwsgi variable whose name is longer than the packet"};
    if (!take_sized(block, value)) return {400, "uwsgi variable whose value is longer than the packet"};
    if (const Refusal refusal = variables.add(name, {value.data(), value.size()})) return refusal;
  }
  return variables.finish();
}

}  // namespace

UwsgiFed decode_uwsgi_head(std::span<char> bytes, const HeadLimits& limits, Head& head, CgiRequest& request) {
  UwsgiFed fed;
  const auto refuse = [&fed](const Refusal& refusal) {
    fed.status = Status::refused;
    fed.refusal = refusal;
    return fed;
  };
  if (!bytes.empty()) fed.modifier1 = static_cast<std::uint8_t>(bytes[0]);
  if (fed.modifier1 != 0) return refuse({501, "uwsgi modifier1 is not 0"});
  if (bytes.size() < uwsgi_header_bytes) {
    fed.needed = uwsgi_header_bytes - bytes.size();
    return fed;
  }
  fed.modifier2 = static_cast<std::uint8_t>(bytes[3]);
  if (fed.modifier2 != 0) return refuse({501, "uwsgi modifier2 is not 0"});
  const std::size_t size = uwsgi_header_bytes + size_at(bytes.data() + 1);
  if (size > head_bytes_max(limits)) return refuse({431, "uwsgi packet too long"});
  if (bytes.size() < size) {
    fed.needed = size - bytes.size();
    return fed;
  }
  const std::span<char> packet = bytes.first(size);
  CgiVariables variables(packet, limits, head, request);
  if (const Refusal refusal = decode_variables(packet.subspan(uwsgi_header_bytes), variables)) {
    head.fields.clear();
    return refuse(refusal);
  }
  head.keep_alive = false;
  fed.status = Status::complete;
  fed.consumed = size;
  return fed;
}

}  // namespace narwhal::protocol
