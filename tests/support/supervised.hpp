// Supervised: a master with toy workers in a separate process, and what a test may do to it.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "core/log.hpp"
#include "server/master.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/toy_template.hpp"
#include "tests/unit/elf_image.hpp"

namespace narwhal::toy {

// Checks every few milliseconds until it is true; false if the deadline passed.
inline bool eventually(const std::function<bool()>& holds, std::chrono::seconds deadline = std::chrono::seconds(15)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (std::chrono::steady_clock::now() < end) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return holds();
}

class Supervised {
 public:
  // Lines of "key value"; what is not a setting is an option of the toy.
  explicit Supervised(const std::string& settings)
      : Supervised(settings, [](const Supervised& self) {
          server::Master master(*self.read(),
                                {{{}, [&](const auto&) { return self.read(); }}, run_template, "0.1.0", {}});
          return master.supervise();
        }) {}
  // `supervise` runs in the separate process; its result is the exit code.
  Supervised(const std::string& settings, const std::function<int(const Supervised&)>& supervise) {
    write_app("first");
    std::filesystem::create_directory(folder_.path("stage"));
    configure(settings);
    pid_ = ::fork();
    if (pid_ == 0) ::_exit(run(supervise));
  }
  ~Supervised() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Supervised(const Supervised&) = delete;

  void configure(const std::string& settings) {
    folder_.write("settings.new", settings);
    std::filesystem::rename(folder_.path("settings.new"), folder_.path("settings"));
  }
  void send(int signo) const { REQUIRE(::kill(pid_, signo) == 0); }
  pid_t pid() const { return pid_; }
  std::string path(const std::string& name) const { return folder_.path(name); }
  // A file that staging accepts as a plugin; GET /code answers these words as they are in the copy that the worker
  // runs.
  void write_app(const std::string& code) {
    server::ElfImage image;
    image.padding = code_mark + code + ";";
    folder_.write("app.so", image.build());
  }

  std::string log() const { return read_all(folder_.path("log")); }
  std::size_t logged(const std::string& text) const {
    const std::string all = log();
    std::size_t count = 0;
    for (std::size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++count;
    return count;
  }
  void wait_for(const std::string& text, std::size_t times = 1) const {
    eventually([&] { return logged(text) >= times || has_ended(); });
    const bool seen = logged(text) >= times;
    CAPTURE(log());
    CAPTURE(text);
    REQUIRE(seen);
  }
  bool has_ended() const {
    siginfo_t found{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &found, WEXITED | WNOHANG | WNOWAIT) == 0 && found.si_pid == pid_;
  }
  // Its exit code, or 1000 + the signal that ended it.
  int exit_code() {
    int status = 0;
    const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
    CAPTURE(log());
    REQUIRE(ended);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  int port() const {
    const std::string mark = "Listening at: http://127.0.0.1:";
    wait_for(mark);
    const std::string all = log();
    return std::stoi(all.substr(all.rfind(mark) + mark.size()));
  }
  // The body of the answer; empty if there was none.
  std::string get(const std::string& path = "/") const {
    const Fd client = connect();
    if (!client) return "";
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: toy\r\n\r\n";
    if (::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
    std::string answer;
    char bytes[4096];
    for (ssize_t size; (size = ::read(client.get(), bytes, sizeof bytes)) > 0;) {
      answer.append(bytes, static_cast<std::size_t>(size));
    }
    const std::size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
  }
  Fd connect() const {
    if (port_ == 0) port_ = port();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{10, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Fd();
    return client;
  }

  std::vector<pid_t> children() const { return children_of(pid_); }
  static std::vector<pid_t> children_of(pid_t parent) {
    const std::string task = "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
    std::ifstream file(task);
    std::vector<pid_t> pids;
    for (pid_t pid; file >> pid;) pids.push_back(pid);
    std::sort(pids.begin(), pids.end());
    return pids;
  }
  std::size_t count(const std::string& what) const {  // entries of /proc/PID/<what>, or its lines
    const std::filesystem::path path = "/proc/" + std::to_string(pid_) + "/" + what;
    if (std::filesystem::is_directory(path)) {
      const std::filesystem::directory_iterator entries(path);
      return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }
    std::ifstream file(path);
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
  }

  // The settings as they are now.
  Result<Config> read() const {
    Config config;
    config.bind[0].port = 0;
    config.errorlog = folder_.path("log");
    config.loglevel = LogLevel::debug;
    config.chdir = folder_.path();
    config.stage_dir = folder_.path("stage");
    config.graceful_timeout = 2s;
    config.routes = {{"", folder_.path("app.so"), {}}};
    std::ifstream file(folder_.path("settings"));
    for (std::string line; std::getline(file, line);) {
      const std::size_t space = line.find(' ');
      if (space == std::string::npos) return Error{folder_.path("settings") + ": no value: " + line};
      if (!set(config, line.substr(0, space), line.substr(space + 1))) {
        config.routes[0].options.emplace_back(line.substr(0, space), line.substr(space + 1));
      }
    }
    return config;
  }

 private:
  int run(const std::function<int(const Supervised&)>& supervise) const try {
    ::setpgid(0, 0);
    return supervise(*this);
  } catch (const StartupError& error) {
    log::error("narwhal: {}", error.what());
    return 1;
  }

  static bool set(Config& config, const std::string& key, const std::string& value) {
    if (key == "workers") return config.workers = static_cast<unsigned>(std::stoul(value)), true;
    if (key == "app") return config.routes[0].app = value, true;
    if (key == "boot_timeout") return config.boot_timeout = seconds(std::stol(value)), true;
    if (key == "graceful_timeout") return config.graceful_timeout = seconds(std::stol(value)), true;
    if (key == "heartbeat_timeout") return config.heartbeat_timeout = seconds(std::stol(value)), true;
    if (key == "probation") return config.probation = seconds(std::stol(value)), true;
    if (key == "canary") return config.canary = {static_cast<unsigned>(std::stoul(value)), value.back() == '%'}, true;
    if (key == "canary_time") return config.canary_time = seconds(std::stol(value)), true;
    if (key == "pidfile") return config.pidfile = value, true;
    if (key == "unix") {
      config.bind.push_back({});
      config.bind.back().kind = Bind::Kind::unix_socket;
      config.bind.back().path = value;
      return true;
    }
    return false;
  }

  Folder folder_;
  pid_t pid_ = 0;
  mutable int port_ = 0;
};

}  // namespace narwhal::toy
