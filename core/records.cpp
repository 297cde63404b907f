#include "core/records.hpp"

#include <sys/socket.h>

#include <cstring>

namespace narwhal {
namespace {

// Invalid records that one receive_record() skips before it returns to its caller.
constexpr int odd_records_max = 32;

// Room for one descriptor and the sender's credentials; the kernel cuts off anything else that a child attaches.
struct Control {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
};

void take_descriptors(const cmsghdr& part, Received& received) {
  const std::size_t count = (part.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&part) + i * sizeof(int), sizeof fd);
    Fd owned(fd);
    if (!received.fd) received.fd = std::move(owned);
  }
}

void take_control(msghdr& message, Received& received) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_RIGHTS) take_descriptors(*part, received);
    if (part->cmsg_type == SCM_CREDENTIALS && part->cmsg_len >= CMSG_LEN(sizeof(ucred))) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
      received.pid = sender.pid;
    }
  }
}

Record record_of(std::uint32_t kind, std::uint32_t slot, std::uint64_t generation) {
  Record record;
  record.kind = kind;
  record.slot = slot;
  record.generation = generation;
  return record;
}

}  // namespace

Result<Pair> open_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
    return errno_error("socketpair");
  }
  Pair pair{Fd(ends[0]), Fd(ends[1])};
  const int on = 1;
  if (::setsockopt(pair.master.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) return errno_error("SO_PASSCRED");
  return pair;
}

Result<Done> send_record(int socket, const Record& record, int fd) {
  iovec bytes{const_cast<Record*>(&record), sizeof record};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  Control control{};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof fd);
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EINTR) return errno_error("send record");
  }
  return Done{};
}

Received receive_record(int socket) {
  for (int odd = 0; odd < odd_records_max; ++odd) {
    Received received;
    iovec bytes{&received.record, sizeof received.record};
    Control control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const ssize_t size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) {
      if (errno == EAGAIN) return {};
      // ECONNRESET comes once, when the peer left without reading everything, and it comes before the records that are
      // still waiting: "failed" and its reason may be the next one.
      if (errno == EINTR || errno == ECONNRESET) continue;
      received.status = Received::Status::gone;
      return received;
    }
    take_control(message, received);
    // An empty record and the end of the stream both read as 0; only a record has its sender's credentials.
    if (size == 0 && received.pid == 0) return {Received::Status::gone, {}, 0, {}};
    if (size != sizeof received.record || (message.msg_flags & MSG_TRUNC) != 0) continue;  // not one of our records
    received.record.text[sizeof received.record.text - 1] = '\0';
    received.status = Received::Status::record;
    return received;
  }
  return {};
}

Record make_record(Report kind, std::uint32_t slot, std::uint64_t generation, std::string_view text,
                   std::int32_t code) {
  Record record = record_of(static_cast<std::uint32_t>(kind), slot, generation);
  record.code = code;
  text.copy(record.text, sizeof record.text - 1);
  return record;
}

Record make_record(Order kind, std::uint32_t slot, std::uint64_t generation) {
  return record_of(static_cast<std::uint32_t>(kind), slot, generation);
}

Record make_record(Command kind, std::uint64_t id, std::int32_t argument) {
  Record record = record_of(static_cast<std::uint32_t>(kind), 0, id);
  record.code = argument;
  return record;
}

}  // namespace narwhal
