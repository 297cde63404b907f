// Config: every setting, as a value. Defaults stand here and nowhere else; server/config/settings.cpp gives
// each its name in the file and on the command line. Nothing reads the environment or the file later.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/ip_ranges.hpp"

namespace narwhal {

using std::chrono::seconds;
using namespace std::chrono_literals;

// One address to listen on.
struct Bind {
  enum class Kind { tcp, unix_socket, inherited };
  Kind kind = Kind::tcp;
  std::string host = "127.0.0.1";  // tcp: name or address, IPv6 without brackets; empty: every interface
  std::uint16_t port = 8000;       // tcp; 0 lets the kernel choose
  std::string path;                // unix_socket
  int fd = -1;                     // inherited
  bool operator==(const Bind&) const = default;
};

using Options = std::vector<std::pair<std::string, std::string>>;  // a plugin's, in order of appearance

// One application: a plugin mounted under a prefix.
struct Route {
  std::string prefix;  // "" for the root, else "/shop": starts with a slash, ends without one
  std::string app;  // path of the .so, absolute as every path of a loaded Config; or a Python app: "web_flask.app:app"
  Options options;
  std::string plugin{};  // of a Python app: path of the plugin that runs it; else empty
  bool operator==(const Route&) const = default;
};

enum class LogLevel { debug, info, warning, error, critical };

// What becomes of a request's field whose name holds an underscore: a CGI-style map cannot tell it from one with a hyphen.
enum class HeaderMap { drop, refuse, dangerous };

// Which versions of a PROXY header a connection may open with.
enum class ProxyProtocol { off, v1, v2, either };

// How a changed file is noticed.
enum class ReloadEngine { automatic, poll, inotify };

struct Config {
  // what is served
  std::vector<Bind> bind{Bind{}};
  std::vector<Route> routes;  // longest prefix first once checked; no two alike
  bool preload_app = false;   // run the plugins' preload hook once, in the template
  bool reload = false;        // when a file that the running generation was made from has changed
  ReloadEngine reload_engine = ReloadEngine::automatic;
  std::vector<std::string> reload_extra_files;  // paths, or patterns of such
  std::vector<std::string> pythonpath;          // folders, in front of Python's own
  std::string venv;                             // a Python virtual environment's folder; empty: the plugin looks
  std::string hooks_file;                       // whose hook functions are to run: its path, or "python:MODULE"
  std::vector<std::string> sources;             // files that all this was read from

  // processes
  unsigned workers = 1;
  unsigned threads = 1;                  // handler threads in each worker
  unsigned worker_connections = 10'000;  // connections one worker holds; more wait in the backlog
  unsigned queue_size = 1000;            // requests that wait for a handler in one worker; more get 503
  unsigned backlog = 2048;
  bool reuse_port = false;
  std::string user, group;  // of template and workers; empty: the master's
  bool initgroups = false;
  int umask = 0;                // of a Unix socket's file
  std::string chdir;            // empty: start_directory
  std::string start_directory;  // where narwhal was started, by the name it had: a link in it is followed anew
  std::vector<std::pair<std::string, std::string>> raw_env;
  std::string pidfile;
  std::string proc_name;  // in the process titles; empty: the first app's name
  std::string stage_dir;  // where private copies of plugins live; empty: the first fit temporary folder

  // time limits; 0 switches one off
  seconds boot_timeout = 60s;       // template or worker: from fork to ready
  seconds header_timeout = 30s;     // from a request's first byte (or the connection) to the end of its head
  seconds body_timeout = 30s;       // silence while a body is coming
  seconds write_timeout = 30s;      // silence while a response is leaving
  seconds keepalive = 75s;          // idle on a kept-alive connection; 0: one request a connection
  seconds timeout = 30s;            // one request in its handler, its waiting for the client aside
  seconds graceful_timeout = 30s;   // a retired worker's last requests
  seconds heartbeat_timeout = 30s;  // a worker whose loop stands still this long is killed
  seconds probation = 30s;          // a new generation that crash-loops within it is rolled back

  // limits of a request, in bytes but for the fields' number
  std::size_t limit_request_line = 4094;
  std::size_t limit_request_fields = 100;
  std::size_t limit_request_field_size = 8190;
  std::size_t limit_request_body = 0;        // 0: unlimited
  std::size_t min_rate = 100;                // bytes a second, of a body or a response on its way; 0: none
  std::size_t body_buffer_size = 64 * 1024;  // a larger body goes to an unlinked file
  std::string tmp_upload_dir = "/tmp";
  bool request_buffering = true;                  // of Python applications: they are called when the body is complete
  std::size_t response_buffer_size = 256 * 1024;  // what a slow client may leave unsent before a writing handler waits

  // behind a proxy; a peer on a Unix socket is trusted in both lists
  IpRanges forwarded_allow_ips{"127.0.0.1,::1"};  // whose word about its client is believed
  Options secure_scheme_headers{                  // field and value that mean https, from such a peer
                                {"X-FORWARDED-PROTOCOL", "ssl"},
                                {"X-FORWARDED-PROTO", "https"},
                                {"X-FORWARDED-SSL", "on"}};
  HeaderMap header_map = HeaderMap::drop;
  std::vector<std::string> forwarder_headers{"SCRIPT_NAME", "PATH_INFO"};  // kept from such a peer; "*": all
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  IpRanges proxy_allow_ips{"127.0.0.1,::1"};  // who has to send a PROXY header

  // logs
  LogLevel loglevel = LogLevel::info;
  std::string errorlog = "-";  // "-": stderr
  std::string accesslog;       // "-": stdout; empty: none
  std::string access_log_format = R"(%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s")";
  bool capture_output = false;
  std::string server_header = "narwhal";  // empty: no Server field

  bool operator==(const Config&) const = default;
};

}  // namespace narwhal
