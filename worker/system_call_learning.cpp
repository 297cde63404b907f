#include "worker/system_call_learning.hpp"

#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/close_all_but.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "core/signals.hpp"
#include "core/system_calls.hpp"
#include "core/write_all.hpp"

namespace narwhal::worker {
namespace {

struct Message {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  Message() noexcept {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
};

Fd receive_listener(const Fd& socket) {
  Message message;
  if (::recvmsg(socket.get(), &message.header, MSG_CMSG_CLOEXEC) != 1) return Fd();
  const cmsghdr* const header = CMSG_FIRSTHDR(&message.header);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return Fd();
  int listener = -1;
  std::memcpy(&listener, CMSG_DATA(header), sizeof listener);
  return Fd(listener);
}

class Learning {
 public:
  Learning(Fd file, std::vector<int> known) : file_(std::move(file)), known_(std::move(known)) {}

  void serve(const Fd& listener) {
    pollfd watched{listener.get(), POLLIN, 0};
    while (::poll(&watched, 1, -1) >= 0 || errno == EINTR) {
      if ((watched.revents & POLLIN) != 0) {
        take_one(listener);
      } else if (watched.revents != 0) {
        return;  // no process is left under the filter
      }
    }
  }

 private:
  void take_one(const Fd& listener) {
    seccomp_notif call{};
    if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return;  // it was interrupted
    const auto place = std::lower_bound(known_.begin(), known_.end(), call.data.nr);
    if (place == known_.end() || *place != call.data.nr) {  // before it goes on: it may end the process
      known_.insert(place, call.data.nr);
      [[maybe_unused]] const bool written = write_all(file_.get(), system_call_text(call.data.nr) + '\n');
    }
    seccomp_notif_resp go_on{};
    go_on.id = call.id;
    go_on.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &go_on);
  }

  Fd file_;
  std::vector<int> known_;
};

// The kernel may know more about a call than the headers of this build.
bool knows_these_sizes() noexcept {
  seccomp_notif_sizes sizes{};
  return ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 &&
         sizes.seccomp_notif <= sizeof(seccomp_notif) && sizes.seccomp_notif_resp <= sizeof(seccomp_notif_resp);
}

[[noreturn]] void learn(Fd socket, Fd file, std::vector<int> known) noexcept {
  close_all_but({socket.get(), file.get(), log::descriptor()});
  default_all_signals();
  for (const int signo : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE}) ::signal(signo, SIG_IGN);
  ::setpgid(0, 0);  // what ends the template's group must not end it
  set_process_title("narwhal: seccomp, learning");
  const Fd listener = receive_listener(socket);
  socket = Fd();
  if (listener) Learning(std::move(file), std::move(known)).serve(listener);
  ::_exit(0);
}

}  // namespace

Result<Fd> begin_learning(Fd file, std::vector<int> known) {
  if (!knows_these_sizes()) return Error{"seccomp: learn needs Linux 5.5, and headers as new as the kernel"};
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error("seccomp: socketpair");
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t intermediate = ::fork();  // the master reaps its child
  if (intermediate < 0) return errno_error("seccomp: fork");
  if (intermediate == 0) {
    const pid_t pid = ::fork();
    if (pid == 0) learn(std::move(theirs), std::move(file), std::move(known));
    ::_exit(pid < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(intermediate, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 ? Result<Fd>(std::move(ours)) : Error{"seccomp: fork failed"};
}

Result<Done> give_listener(const Fd& learning, Fd listener) {
  Message message;
  cmsghdr* const header = CMSG_FIRSTHDR(&message.header);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = listener.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  if (::sendmsg(learning.get(), &message.header, MSG_NOSIGNAL) != 1)
    return errno_error("seccomp: the learning process");
  return Done{};
}

}  // namespace narwhal::worker
