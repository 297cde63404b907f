#include "worker/acceptor.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {
constexpr unsigned batch_alone = 64;  // accepted at a time when there is no sibling to be fair to
constexpr unsigned batch_shared = 4;
constexpr unsigned spread_slack = 4;  // connections more than the poorest sibling, and an eighth
constexpr std::chrono::milliseconds moment_for{5};
constexpr std::chrono::milliseconds rest_for{100};  // when the kernel has no memory for a connection

LocalAddress local_address_of(int listener) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return {};
  const Peer address = Peer::of(bound);
  if (address.text_size == 0) return {};
  return {std::string(address.text()), std::to_string(address.port)};
}
}  // namespace

Acceptor::Acceptor(Loop& loop, const Seat& seat)
    : loop_(loop), siblings_(seat), relay_(seat.relay_give, seat.relay_take) {
  for (const Listener* listener : seat.listeners) local_addresses_.push_back(local_address_of(listener->fd.get()));
  if (local_addresses_.empty())
    local_addresses_.emplace_back();  // what does not come by a listener comes by none with an address
}

Result<Done> Acceptor::open(const Seat& seat) {
  set_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!set_) return errno_error("epoll_create1");
  for (const Listener* listener : seat.listeners) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, listener->fd.get(), &event) != 0)
      return errno_error("watch " + listener->address);
    listeners_.push_back(listener->fd.get());
  }
  if (relay_.usable()) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, relay_.take_end(), &event) != 0) return errno_error("watch the relay");
  }
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  uv_timer_init(loop_.uv(), &moment_);
  moment_.data = this;
  if (const int status = uv_poll_init(loop_.uv(), &poll_, set_.get()); status != 0) {
    return Error{std::string("watch the listeners: ") + uv_strerror(status)};
  }
  poll_.data = this;
  open_ = true;
  return Done{};
}

void Acceptor::begin() {
  begun_ = true;
  reconsider();
}

void Acceptor::end(bool sweep) {
  if (!begun_ && !open_) return;
  begun_ = open_ = false;
  listen(false);
  uv_timer_stop(&moment_);
  set_ = Fd();
  // What the kernel has completed already would be reset: it is served, even if that is more than worker_connections.
  for (std::size_t index = 0; index < listeners_.size(); ++index) {
    for (unsigned taken = 0; sweep && taken < loop_.config().backlog && accept_one(index); ++taken) {
    }
    ::close(listeners_[index]);  // this process's copy: with the last one, new clients are refused at once
  }
  listeners_.clear();
}

void Acceptor::listen(bool on) {
  if (std::exchange(listening_, on) == on) return;
  if (on) {
    uv_poll_start(&poll_, UV_READABLE, on_readable);
  } else {
    uv_poll_stop(&poll_);
  }
}

// Pure but for the scoreboard: should this worker take the next connection?
Acceptor::Verdict Acceptor::judge() const {
  if (resting_) return Verdict::wait_a_moment;
  const unsigned mine = loop_.connections();
  if (mine >= loop_.config().worker_connections) return Verdict::wait;
  const unsigned free = loop_.crew().free_handlers();
  const bool room = loop_.crew().waiting() < loop_.config().queue_size;
  if (loop_.config().workers == 1) return free != 0 || room ? Verdict::take : Verdict::wait;
  const Siblings::Summary others = siblings_.look();
  if (free == 0) return others.any_free || !room ? Verdict::wait : Verdict::wait_a_moment;
  if (!others.any) return Verdict::take;
  const unsigned fair = others.connections_min + others.connections_min / 8 + spread_slack;
  return mine > fair ? Verdict::wait_a_moment : Verdict::take;
}

void Acceptor::reconsider() {
  if (!begun_) return;
  const Verdict verdict = judge();
  listen(verdict == Verdict::take);
  if (verdict == Verdict::take) {
    uv_timer_stop(&moment_);
  } else if (verdict == Verdict::wait_a_moment && !uv_is_active(reinterpret_cast<uv_handle_t*>(&moment_))) {
    uv_timer_start(&moment_, on_moment, moment_for.count(), 0);
  }
}

void Acceptor::on_moment(uv_timer_t* handle) noexcept {
  auto* self = static_cast<Acceptor*>(handle->data);
  self->resting_ = false;
  if (!self->begun_ || self->judge() == Verdict::wait) return;
  self->accept_some(1);  // the moment is over, and the connection may still be there
  self->reconsider();
}

void Acceptor::on_readable(uv_poll_t* handle, int, int) noexcept {
  auto* self = static_cast<Acceptor*>(handle->data);
  if (!self->begun_) return;
  self->accept_some(self->loop_.config().workers == 1 ? batch_alone : batch_shared);
}

void Acceptor::accept_some(unsigned count) {
  take_relayed();
  for (std::size_t index = 0; index < listeners_.size(); ++index) {
    for (unsigned taken = 0; taken < count && accept_one(index); ++taken) {
      if (loop_.connections() >= loop_.config().worker_connections) return reconsider();
    }
  }
  if (loop_.config().workers > 1) reconsider();
}

bool Acceptor::take_relayed() try {
  bool any = false;
  while (loop_.free_handlers() != 0) {
    auto taken = relay_.take(loop_.pool());
    if (!taken) break;
    any = true;
    Connection* const connection = connection_for(taken->peer);
    if (connection != nullptr && connection->open(taken->socket.release())) {
      connection->go_on_with(taken->bytes);
    } else {
      loop_.pool().drop(taken->bytes);
    }
  }
  return any;
} catch (const std::bad_alloc&) {
  log::error("out of memory: no room to take over what a sibling has to give");
  rest();
  return false;
}

// Not even to try again at once is of use.
void Acceptor::rest() noexcept {
  resting_ = true;
  listen(false);
  if (begun_) uv_timer_start(&moment_, on_moment, rest_for.count(), 0);
}

Connection* Acceptor::connection_for(const Peer& peer) noexcept try {
  return loop_.new_connection(peer);
} catch (const std::bad_alloc&) {
  log::error("out of memory: a connection of {} is closed",
             peer.family == Peer::Family::local ? "a client" : peer.text());
  return nullptr;
}

void Acceptor::accept_failed(int listener, int reason) {
  if (reason == ENOMEM || reason == ENOBUFS) {
    log::error("accept: {}: tried again in {} ms", std::strerror(reason), rest_for.count());
    return rest();
  }
  if (reason != EMFILE && reason != ENFILE) return;
  log::error("accept: {}: raise the limit of open files or lower worker_connections", std::strerror(reason));
  // Without this the readiness that nobody can take would keep the loop spinning.
  if (spare_fd_ >= 0) ::close(spare_fd_);
  const int unlucky = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (unlucky >= 0) ::close(unlucky);
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool Acceptor::accept_one(std::size_t index) {
  const int listener = listeners_[index];
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    accept_failed(listener, errno);
    return false;
  }
  // Close-on-exec, non-blocking; TCP_NODELAY it has from its listener.
  Peer peer = Peer::of(from);
  peer.listener = static_cast<std::uint8_t>(index);
  Connection* const connection = connection_for(peer);
  if (connection == nullptr) {
    ::close(fd);
    return true;
  }
  if (loop_.proxy_policy().reads_proxy_headers()) connection->expect_proxy_header();
  connection->open(fd);
  return true;
}

}  // namespace narwhal::worker
