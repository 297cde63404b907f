// UpgradeChannel: the socket between the two masters of an upgrade.
// Messages  words, because the other master is of another version. From the new master: "step" (the start goes on),
//           "ready" (it serves), "failed REASON". From the old one: "main" (it has reported to the service manager that
//           the new one is the service). From both: "leaving" (this master stops).
// EOF       the other master is gone.
// Blocks    never. A message that is lost has the same effect as one that was never sent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/fd.hpp"

namespace narwhal::server {

class UpgradeChannel {
 public:
  UpgradeChannel() = default;
  explicit UpgradeChannel(Fd socket) : socket_(std::move(socket)) {}

  void send(std::string_view message) const noexcept;
  // The next message; none after the end, which closes the channel.
  std::optional<std::string> receive();
  bool is_open() const { return bool(socket_); }
  int descriptor() const { return socket_.get(); }
  void close() { socket_ = Fd(); }

 private:
  Fd socket_;
};

}  // namespace narwhal::server
