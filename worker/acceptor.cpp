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
#include "core/log_limit.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {
constexpr unsigned batch_alone = 64;  // accepted at a time when there is no sibling to be fair to
constexpr unsigned batch_shared = 4;
constexpr unsigned spread_slack = 4;  // connections more than the poorest sibling, and an eighth
constexpr std::chrono::milliseconds delay{5};
constexpr std::chrono::milliseconds pause_after_error{100};  // when the kernel has no memory for a connection

LocalAddress local_address_of(int listener) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return {};
  const Peer address = Peer::of(bound);
  if (address.text_size == 0) return {};
  return {std::string(address.text()), std::to_string(address.port)};
}

// A socket that systemd has passed has no bind, and speaks what `protocol` says.
ListenerWire wire_of(const Listener& listener, std::size_t index, const Config& config) {
  const Bind* const bind = !listener.activated && index < config.bind.size() ? &config.bind[index] : nullptr;
  const Wire wire = bind != nullptr ? bind->wire.value_or(config.protocol) : config.protocol;
  if (wire == Wire::http) return {};
  const IpRanges* const own = bind != nullptr && bind->options.allow_from ? &*bind->options.allow_from : nullptr;
  return {wire, own != nullptr ? own : wire == Wire::uwsgi ? &config.uwsgi_allow_ips : &config.gateway_allow_ips};
}

unsigned longest_backlog(const Config& config) {
  unsigned longest = config.backlog;
  for (const Bind& bind : config.bind) longest = std::max(longest, bind.options.backlog.value_or(0));
  return longest;
}
}  // namespace

Acceptor::Acceptor(Loop& loop, const Seat& seat)
    : loop_(loop), siblings_(seat), relay_(seat.relay_give, seat.relay_take) {
  for (const Listener* listener : seat.listeners) {
    local_addresses_.push_back(local_address_of(listener->fd.get()));
    wires_.push_back(wire_of(*listener, wires_.size(), loop.config()));
  }
  // A relayed connection may have come by a listener that this worker does not have.
  if (local_addresses_.empty()) local_addresses_.emplace_back();
}

Result<Done> Acceptor::Watched::open(Acceptor& owner, std::span<const int> descriptors) {
  const bool shared = owner.loop_.config().workers > 1;
  if (shared || descriptors.size() != 1) {
    set = Fd(::epoll_create1(EPOLL_CLOEXEC));
    if (!set) return errno_error("epoll_create1");
    for (const int descriptor : descriptors) {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLEXCLUSIVE;
      if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) return errno_error("watch the listeners");
    }
  }
  if (const int status = uv_poll_init(owner.loop_.uv(), &poll, set ? set.get() : descriptors[0]); status != 0)
    return Error{std::string("watch the listeners: ") + uv_strerror(status)};
  poll.data = &owner;
  return Done{};
}

Result<Done> Acceptor::open(const Seat& seat) {
  uv_timer_init(loop_.uv(), &timer_);
  timer_.data = this;
  for (const Listener* listener : seat.listeners) listeners_.push_back(listener->fd.get());
  if (Result<Done> done = connecting_.open(*this, listeners_); !done) return done;
  const int relay = relay_.take_end();
  if (Result<Done> done = relayed_.open(*this, std::span(&relay, relay_.usable() ? 1 : 0)); !done) return done;
  open_ = true;
  return Done{};
}

void Acceptor::begin() {
  begun_ = true;
  withheld_.store(false, std::memory_order_relaxed);
  reconsider();
}

void Acceptor::withhold() {
  if (!begun_) return;
  withheld_.store(true, std::memory_order_relaxed);
  loop_.slot().state.store(WorkerState::ready, std::memory_order_relaxed);  // siblings do not count it
  reconsider();
}

void Acceptor::end(Backlog backlog) {
  if (!begun_ && !open_) return;
  begun_ = open_ = false;
  stop_listening();
  uv_timer_stop(&timer_);
  connecting_.set = Fd();
  relayed_.set = Fd();
  // Otherwise what the kernel has completed already would be reset. It is served, even over worker_connections.
  const unsigned most = backlog == Backlog::take ? longest_backlog(loop_.config()) : 0;
  for (std::size_t index = 0; index < listeners_.size(); ++index) {
    for (unsigned taken = 0; taken < most && accept_one(index); ++taken) {
    }
    ::close(listeners_[index]);  // this process's copy: with the last one, new clients are refused at once
  }
  listeners_.clear();
}

void Acceptor::start_listening() {
  if (std::exchange(listening_, true)) return;
  uv_poll_start(&connecting_.poll, UV_READABLE, on_readable);
  uv_poll_start(&relayed_.poll, UV_READABLE, on_relayed);
}

void Acceptor::stop_listening() {
  if (!std::exchange(listening_, false)) return;
  uv_poll_stop(&connecting_.poll);
  uv_poll_stop(&relayed_.poll);
}

// Should this worker take the next connection? Reads the scoreboard, changes nothing.
Acceptor::Verdict Acceptor::judge() const {
  if (is_withheld()) return Verdict::wait;
  if (paused_) return Verdict::delay;
  const unsigned mine = loop_.connections().count();
  if (mine >= loop_.config().worker_connections) return Verdict::wait;
  const unsigned free = loop_.crew().counts().free_handlers();
  const bool room = loop_.crew().counts().waiting() < loop_.config().queue_size;
  if (loop_.config().workers == 1) return free != 0 || room ? Verdict::accept : Verdict::wait;
  const Siblings::Summary others = siblings_.look(Siblings::Among::all);
  if (free == 0) return others.any_free || !room ? Verdict::wait : Verdict::delay;
  if (!others.any) return Verdict::accept;
  const unsigned fair = others.connections_min + others.connections_min / 8 + spread_slack;
  return mine > fair ? Verdict::delay : Verdict::accept;
}

void Acceptor::reconsider() {
  if (!begun_) return;
  const Verdict verdict = judge();
  if (verdict == Verdict::accept) {
    start_listening();
    uv_timer_stop(&timer_);
    return;
  }
  stop_listening();
  if (verdict == Verdict::delay && !uv_is_active(reinterpret_cast<uv_handle_t*>(&timer_))) {
    uv_timer_start(&timer_, on_timer, delay.count(), 0);
  }
}

void Acceptor::on_timer(uv_timer_t* handle) noexcept {
  auto* self = static_cast<Acceptor*>(handle->data);
  self->paused_ = false;
  if (!self->begun_ || self->judge() == Verdict::wait) return;
  self->take_relayed();  // the delay is over, and what was waiting may still be there
  self->accept_some(1);
  self->reconsider();
}

void Acceptor::on_readable(uv_poll_t* handle, int, int) noexcept {
  auto* self = static_cast<Acceptor*>(handle->data);
  if (!self->begun_) return;
  self->accept_some(self->loop_.config().workers == 1 ? batch_alone : batch_shared);
}

void Acceptor::on_relayed(uv_poll_t* handle, int, int) noexcept {
  auto* self = static_cast<Acceptor*>(handle->data);
  if (!self->begun_) return;
  self->take_relayed();
  self->reconsider();
}

void Acceptor::accept_some(unsigned count) {
  for (std::size_t index = 0; index < listeners_.size(); ++index) {
    for (unsigned taken = 0; taken < count && accept_one(index); ++taken) {
      if (loop_.connections().count() >= loop_.config().worker_connections) return reconsider();
    }
  }
  if (loop_.config().workers > 1) reconsider();
}

bool Acceptor::take_relayed() try {
  bool any = false;
  while (!paused_ && loop_.dispatcher().free_handlers() != 0) {
    auto taken = relay_.take(loop_.buffers());
    if (!taken) break;
    any = true;
    if (!taken->socket) {
      loop_.buffers().drop(taken->bytes);
      accept_failed(EMFILE);
      break;
    }
    Connection* const connection = connection_for(taken->peer);
    if (connection != nullptr && connection->open(taken->socket.release(), Connection::Begins::with_request)) {
      connection->continue_with(taken->bytes);
    } else {
      loop_.buffers().drop(taken->bytes);
    }
  }
  return any;
} catch (const std::bad_alloc&) {
  static LogLimit limit;
  limit.error("out of memory: a request of another worker cannot be taken over");
  pause();
  return false;
}

// To try again at once would be of no use.
void Acceptor::pause() noexcept {
  paused_ = true;
  stop_listening();
  if (begun_) uv_timer_start(&timer_, on_timer, pause_after_error.count(), 0);
}

Connection* Acceptor::connection_for(const Peer& peer) noexcept try {
  return loop_.connections().add(peer);
} catch (const std::bad_alloc&) {
  static LogLimit limit;
  limit.error("out of memory: the connection of {} is closed", peer.log_name());
  return nullptr;
}

void Acceptor::accept_failed(int reason) {
  const bool has_no_descriptor = reason == EMFILE || reason == ENFILE;
  if (!has_no_descriptor && reason != ENOMEM && reason != ENOBUFS) return;
  loop_.counters().connection_not_accepted();
  if (has_no_descriptor) {
    static LogLimit limit(1);
    limit.error("accept: {}: raise the limit of open files or lower worker_connections", std::strerror(reason));
  } else {
    log::error("accept: {}: tried again in {} ms", std::strerror(reason), pause_after_error.count());
  }
  // A connection that cannot be taken keeps the listener readable, and so would keep the loop spinning. Meanwhile it waits:
  // a sibling may take it, or this worker when another connection has ended.
  pause();
}

bool Acceptor::accept_one(std::size_t index) {
  const int listener = listeners_[index];
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    accept_failed(errno);
    return false;
  }
  // Close-on-exec, non-blocking; TCP_NODELAY it has from its listener.
  Peer peer = Peer::of(from);
  peer.listener = static_cast<std::uint8_t>(index);
  peer.wire = wires_[index].wire;
  peer.may_speak =
      wires_[index].allowed == nullptr || peer.text_size == 0 || wires_[index].allowed->contains(peer.text());
  Connection* const connection = connection_for(peer);
  if (connection == nullptr) {
    ::close(fd);
    return true;
  }
  const bool has_proxy_header = loop_.proxy_policy().reads_proxy_headers();
  connection->open(fd, has_proxy_header ? Connection::Begins::with_proxy_header : Connection::Begins::with_request);
  return true;
}

}  // namespace narwhal::worker
