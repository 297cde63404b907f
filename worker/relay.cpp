#include "worker/relay.hpp"

#include <sys/socket.h>

#include <cstring>

namespace narwhal::worker {

bool Relay::give(int socket, const Peer& peer, std::string_view first, std::string_view rest) const noexcept {
  if (!usable() || first.size() + rest.size() > bytes_max) return false;
  iovec parts[] = {{const_cast<Peer*>(&peer), sizeof peer},
                   {const_cast<char*>(first.data()), first.size()},
                   {const_cast<char*>(rest.data()), rest.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof socket)] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof socket);
  std::memcpy(CMSG_DATA(header), &socket, sizeof socket);
  return ::sendmsg(give_end_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

std::optional<Relay::Taken> Relay::take(BufferPool& pool) const {
  if (!usable()) return std::nullopt;
  Taken taken{};
  taken.bytes = BufferPool::make(bytes_max);  // any message fits
  iovec parts[] = {{&taken.peer, sizeof taken.peer}, {taken.bytes->tail(), taken.bytes->room()}};
  int socket = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof socket)];
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(take_end_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const cmsghdr* header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) std::memcpy(&socket, CMSG_DATA(header), sizeof socket);
  taken.socket = Fd(socket);
  if (got < static_cast<ssize_t>(sizeof taken.peer)) {  // a sibling was faster
    pool.drop(taken.bytes);
    return std::nullopt;
  }
  taken.bytes->end = static_cast<std::uint32_t>(static_cast<std::size_t>(got) - sizeof taken.peer);
  return taken;
}

}  // namespace narwhal::worker
