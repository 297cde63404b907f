// A template and workers without plugins: they speak the master's protocol (core/records.hpp), answer HTTP in one
// line, and fail in every way a test asks for through the first route's options.
//   load:  ok, fail, crash, exit, hang      what the template does instead of loading
//   boot:  ok, fail, fail-app, crash, exit, hang, mute (ends before its first report), shy (ready only in generation 1),
//          waits (ready once there is a file "go" in chdir)
//   serve: ok, crash                        crash: dies 50 ms after the order to accept
//   answer: what GET / answers
//   status: of all answers, 200 if it is not set
// Paths: /pid /generation /code /crash /exit /stuck /silent /slow (answers after a second, blocking the worker)
// /orphan (starts a grandchild that outlives it)
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/seat.hpp"
#include "core/signals.hpp"

namespace narwhal::toy {

inline std::string option(const Generation& generation, const std::string& key) {
  for (const auto& [name, value] : generation.config.routes.at(0).options) {
    if (name == key) return value;
  }
  return "ok";
}

constexpr const char* code_mark = "the code is: ";

inline std::string code_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = bytes.find(code_mark) + std::string(code_mark).size();
  return bytes.substr(begin, bytes.find(';', begin) - begin);
}

[[noreturn]] inline void hang() {
  ::alarm(120);            // a test ends its master with SIGKILL
  ::close(STDOUT_FILENO);  // what reads the output of the tests need not wait for that
  while (true) ::pause();
}

class Worker {
 public:
  explicit Worker(Seat seat) : seat_(std::move(seat)) {}

  int run() {
    const std::string boot = option(*seat_.generation, "boot");
    if (boot == "mute") return 7;
    report(Report::hello);
    report(Report::step, "init of the toy");
    if (boot == "fail") return fail("boot the toy: it does not feel like it", exit_boot_failed);
    if (boot == "fail-app") return fail("boot the toy: no such app", exit_app_failed);
    if (boot == "crash") ::raise(SIGSEGV);
    if (boot == "exit") return 9;
    if (boot == "hang") hang();
    while (boot == "waits" && ::access((seat_.generation->config.chdir + "/go").c_str(), F_OK) != 0) ::usleep(1000);
    if (boot == "shy" && ::access((seat_.generation->config.chdir + "/shy").c_str(), F_OK) == 0) return 9;
    report(Report::ready);
    return serve();
  }

 private:
  void report(Report kind, const std::string& text = "", int code = 0) {
    static_cast<void>(
        send_record(seat_.master.get(), make_record(kind, seat_.slot, seat_.generation->number, text, code)));
  }
  int fail(const std::string& reason, int code) {
    report(Report::failed, reason, code);
    return code;
  }

  int serve() {
    while (true) {
      if (beating_) seat_.scoreboard->slot(seat_.slot).heartbeat.store(narwhal::now());
      std::vector<pollfd> watched{{seat_.master.get(), POLLIN, 0}};
      if (accepting_) {
        for (const Listener* listener : seat_.listeners) watched.push_back({listener->fd.get(), POLLIN, 0});
      }
      if (::poll(watched.data(), watched.size(), 50) == 0 && accepting_ &&
          option(*seat_.generation, "serve") == "crash") {
        ::abort();
      }
      if (watched[0].revents != 0 && !obey()) return 0;
      for (std::size_t i = 1; i < watched.size(); ++i) {
        if (watched[i].revents != 0) answer(::accept4(watched[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
      }
    }
  }

  bool obey() {
    const Received received = receive_record(seat_.master.get());
    if (received.status == Received::Status::gone) return false;
    if (received.status == Received::Status::nothing_yet) return true;
    switch (static_cast<Order>(received.record.kind)) {
      case Order::accept: accepting_ = true; return true;
      case Order::withhold: accepting_ = false; return true;
      case Order::drain: return option(*seat_.generation, "drain") == "never" ? (accepting_ = false, true) : false;
      default: return false;
    }
  }

  void answer(int connection) {
    if (connection < 0) return;  // a sibling accepted it first
    const Fd owned(connection);
    char head[2048];
    const ssize_t size = ::read(connection, head, sizeof head);
    const std::string request(head, size > 0 ? static_cast<std::size_t>(size) : 0);
    const std::string path = request.substr(4, request.find(' ', 4) - 4);
    std::string body = option(*seat_.generation, "answer");
    if (path == "/pid") body = std::to_string(::getpid());
    if (path == "/code") body = code_of(seat_.generation->plugins.at(0).copy);
    if (path == "/generation") body = std::to_string(seat_.generation->number);
    if (path == "/worker") body = std::to_string(seat_.generation->number) + " " + std::to_string(::getpid());
    if (path == "/slow") ::sleep(1);
    auto& slot = seat_.scoreboard->slot(seat_.slot);
    auto& running = seat_.scoreboard->slot(seat_.slot).running[0];
    running.begin("GET", path, 0, narwhal::now());
    if (path == "/crash") ::raise(SIGSEGV);
    if (path == "/exit") ::_exit(0);
    if (path == "/orphan" && ::fork() == 0) ::_exit(::fork() == 0 ? 3 : 4);
    if (path == "/silent") hang();
    running.end();
    const std::string set_status = option(*seat_.generation, "status");
    const std::string status = set_status == "ok" ? "200" : set_status;
    slot.pid.store(::getpid());
    ++slot.requests;
    ++slot.routes[0].status_class[static_cast<std::size_t>(status.front() - '0')];
    ++slot.routes[0].latency[10];
    const std::string response = "HTTP/1.1 " + status +
                                 " OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                                 "\r\n\r\n" + body;
    static_cast<void>(::send(connection, response.data(), response.size(), MSG_NOSIGNAL));
    ++seat_.scoreboard->slot(seat_.slot).requests;
    if (path == "/stuck") report(Report::stuck);
  }

  Seat seat_;
  bool accepting_ = false, beating_ = true;
};

inline void spawn(const TemplateSeat& seat, Received order) {
  const pid_t middle = ::fork();
  if (middle == 0) {
    if (::fork() != 0) ::_exit(0);
    ::close(seat.master.get());
    ::_exit(Worker({seat.generation, order.record.slot, std::move(order.fd), seat.listeners, seat.scoreboard}).run());
  }
  int status = 0;
  ::waitpid(middle, &status, 0);
}

inline int run_template(TemplateSeat seat) {
  const auto report = [&](Report kind, const std::string& text) {
    static_cast<void>(send_record(seat.master.get(), make_record(kind, 0, seat.generation->number, text)));
  };
  report(Report::step, "load the toy");
  const std::string load = option(*seat.generation, "load");
  if (load == "fail") {
    report(Report::failed, "load the toy: wrong colour");
    return exit_app_failed;
  }
  if (load == "crash") ::raise(SIGSEGV);
  if (load == "exit") return 5;
  if (load == "hang") hang();
  return_to_group_of_master();
  report(Report::loaded, "");
  while (true) {
    pollfd master{seat.master.get(), POLLIN, 0};
    ::poll(&master, 1, -1);
    Received received = receive_record(seat.master.get());
    if (received.status == Received::Status::gone) return 0;
    if (received.status == Received::Status::nothing_yet) continue;
    if (static_cast<Order>(received.record.kind) != Order::spawn) continue;  // it ends when the socket is closed
    spawn(seat, std::move(received));
  }
}

}  // namespace narwhal::toy
