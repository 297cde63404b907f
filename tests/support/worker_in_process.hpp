// A whole worker, loop and crew and sockets, on threads of the test's own process: its application is a lambda.
// Life     stop() retires it and waits for its end. The Loop itself is never destroyed, as in a real worker.
// Threads  the worker's "main" thread is one of this object's; everything here is for the test's thread.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/log.hpp"
#include "core/log_output.hpp"
#include "tests/support/worker_watchdog.hpp"
#include "worker/crash.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

// One application. What `handle` captures lives until stop() has returned.
struct App {
  std::string prefix;
  std::function<int(narwhal_exchange*)> handle;
  std::uint32_t flags = 0;
  std::function<void(narwhal_exchange*)> cancel = {};
  std::vector<std::string> hosts = {};
  TrailingSlash trailing_slash = TrailingSlash::as_sent;
};

class InProcess {
 public:
  explicit InProcess(std::vector<App> apps, Config config = {}) : apps_(std::move(apps)), config_(std::move(config)) {
    static const Generation& no_plugins = *new Generation;
    install_crash_handlers("Worker",
                           no_plugins);  // a request past its deadline has its thread's stack logged by a signal
    listen();
    std::promise<void> serving;
    thread_ = std::thread([this, &serving] { live(serving); });
    serving.get_future().get();
  }
  InProcess(const InProcess&) = delete;
  InProcess& operator=(const InProcess&) = delete;
  ~InProcess() { stop(); }

  std::uint16_t port() const { return port_; }
  WorkerSlot& slot() { return scoreboard_->slot(0); }
  // Answers with a status of this class, of all routes.
  std::uint64_t answered(std::size_t hundred) {
    std::uint64_t sum = 0;
    for (const RouteCounters& route : slot().routes) sum += route.status_class[hundred];
    return sum;
  }
  std::atomic<int> stuck{0};  // how often the worker reported stuck()

  // Asks it to retire; returns at once.
  void retire() { uv_async_send(&stop_); }
  // Its connections must be closed, or about to be.
  void stop() {
    if (!thread_.joinable()) return;
    retire();
    thread_.join();
    permit_exit();
  }

 private:
  void listen() {
    listener_.fd = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.fd.get(), 512) == 0);
    REQUIRE(::getsockname(listener_.fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    listener_.address = "http://127.0.0.1";
  }

  std::vector<std::unique_ptr<Mount>> mounts() {
    std::vector<std::unique_ptr<Mount>> made;
    for (App& app : apps_) {
      auto mount = std::make_unique<Mount>();
      mount->prefix = app.prefix;
      mount->hosts = app.hosts;
      mount->trailing_slash = app.trailing_slash;
      mount->source = "a lambda";
      mount->plugin = {};
      mount->plugin.struct_size = sizeof(narwhal_plugin);
      mount->plugin.flags = app.flags;
      mount->plugin.handle = [](void* instance, narwhal_exchange* exchange) {
        return static_cast<App*>(instance)->handle(exchange);
      };
      if (app.cancel) {
        mount->plugin.cancel = [](void* instance, narwhal_exchange* exchange) {
          static_cast<App*>(instance)->cancel(exchange);
        };
      }
      mount->instance = &app;
      made.push_back(std::move(mount));
    }
    return made;
  }

  void live(std::promise<void>& serving) {
    auto generation = std::make_shared<Generation>();
    generation->number = 1;
    generation->config = config_;
    Seat seat;
    seat.generation = generation;
    seat.listeners = {&listener_};
    seat.scoreboard = scoreboard_.get();
    if (!config_.accesslog.empty()) seat.access_log = or_throw(narwhal::open_log_file(config_.accesslog)).release();
    static auto& kept = *new std::vector<std::unique_ptr<Loop>>;  // reachable for ever, so that no leak is reported
    kept.push_back(std::make_unique<Loop>(seat, mounts()));
    Loop& loop = *kept.back();
    loop.deadlines().stuck_context = this;
    loop.deadlines().on_stuck = [](void* self) { ++static_cast<InProcess*>(self)->stuck; };
    stop_.data = &loop;
    uv_async_init(loop.uv(), &stop_,
                  [](uv_async_t* async) { static_cast<Loop*>(async->data)->retire(Backlog::leave); });
    const bool started = loop.crew().start();
    loop.begin_accepting();
    serving.set_value();
    if (started) loop.crew().run();
    [[maybe_unused]] const int closed = listener_.fd.release();  // a worker that retires has closed its copy
    // The handle lies in this object: libuv must forget it.
    uv_close(reinterpret_cast<uv_handle_t*>(&stop_), nullptr);
    uv_run(loop.uv(), UV_RUN_NOWAIT);
  }

  std::vector<App> apps_;
  Config config_;
  Listener listener_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Scoreboard> scoreboard_ = std::make_unique<Scoreboard>(or_throw(Scoreboard::create()));
  uv_async_t stop_{};
  std::thread thread_;
};

// A response as a client sees it. status 0: the connection ended before a whole head was there.
struct Answer {
  int status = 0;
  std::string head, body;
  bool whole = false;
};

// A client's socket; every wait has a deadline.
class Client {
 public:
  explicit Client(const InProcess& server, int receive_buffer = 0) : Client(server.port(), receive_buffer) {}
  explicit Client(std::uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer != 0) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server has closed its side; the test looks at its answer
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void get(const std::string& target) { send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"); }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  // Away without a goodbye: the server's next send fails.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_ = Fd();
  }
  void close() { fd_ = Fd(); }

  // Some more bytes into buffered(). False: the end, or `limit` has passed.
  bool more(std::chrono::milliseconds limit = std::chrono::seconds(15), std::size_t most = 65536) {
    pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(limit.count())) != 1) {
      timed_out_ = true;
      return false;
    }
    const std::size_t before = buffer_.size();
    buffer_.resize(before + most);
    const ssize_t got = ::recv(fd_.get(), buffer_.data() + before, most, 0);
    buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    was_reset_ = got < 0;
    return got > 0;
  }
  std::string& buffered() { return buffer_; }
  bool timed_out() const { return timed_out_; }  // the last wait ended without a word of the server
  bool was_reset() const { return was_reset_; }

  Answer answer(bool to_head = false) {
    Answer answer;
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return answer;
    }
    answer.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    answer.status = std::atoi(answer.head.c_str() + answer.head.find(' '));
    const std::string length = field(answer.head, "Content-Length");
    if (to_head || answer.status == 204 || answer.status == 304 || answer.status / 100 == 1) {
      answer.whole = true;
    } else if (!length.empty()) {
      answer.whole = take(std::stoul(length), answer.body);
    } else if (field(answer.head, "Transfer-Encoding") == "chunked") {
      answer.whole = take_chunks(answer.body);
    } else {
      while (more()) continue;
      answer.body = std::exchange(buffer_, {});
      answer.whole = !timed_out_ && !was_reset_;
    }
    return answer;
  }
  // Everything up to the end of the connection.
  std::string rest() {
    while (more()) continue;
    return std::exchange(buffer_, {});
  }

  static std::string field(const std::string& head, const std::string& name) {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }

 private:
  bool take(std::size_t size, std::string& body) {
    while (buffer_.size() < size) {
      if (!more()) return false;
    }
    body += buffer_.substr(0, size);
    buffer_.erase(0, size);
    return true;
  }
  bool take_chunks(std::string& body) {
    while (true) {
      std::size_t end;
      while ((end = buffer_.find("\r\n")) == std::string::npos) {
        if (!more()) return false;
      }
      const std::size_t size = std::stoul(buffer_.substr(0, end), nullptr, 16);
      buffer_.erase(0, end + 2);
      std::string piece;
      if (!take(size, piece)) return false;
      body += piece;
      std::string line;
      if (!take(2, line) || line != "\r\n") return false;
      if (size == 0) return true;
    }
  }

  Fd fd_;
  std::string buffer_;
  bool timed_out_ = false, was_reset_ = false;
};

// ---- an application's answers, in one line ----

inline std::string_view text_of(narwhal_bytes bytes) { return {bytes.data, bytes.size}; }
inline narwhal_bytes bytes_of(std::string_view text) { return {text.data(), text.size()}; }
inline std::string path_of(narwhal_exchange* exchange) {
  return std::string(text_of(host_table.request(exchange)->path));
}

inline int respond(narwhal_exchange* exchange, std::string_view body, int status = 200) {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.body = bytes_of(body);
  return host_table.respond(exchange, &response);
}
inline int start(narwhal_exchange* exchange, std::int64_t size = -1) {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = 200;
  response.body_size = size;
  return host_table.start(exchange, &response);
}
inline int write(narwhal_exchange* exchange, std::string_view piece) {
  return host_table.write(exchange, bytes_of(piece), 0);
}

}  // namespace narwhal::worker
