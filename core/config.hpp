// Config: every setting, as a value. Defaults are written here and nowhere else; server/config/settings.cpp gives
// each its name in the file and on the command line. Nothing reads the environment or the file later.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ip_ranges.hpp"

namespace narwhal {

using std::chrono::seconds;
using namespace std::chrono_literals;

// What is written after an address: "?mode=0660&owner=shop". Without an option, the settings apply.
// The wire protocol of a connection.
enum class Wire : std::uint8_t { http, fastcgi, scgi, uwsgi };
constexpr std::string_view wire_names[] = {"http", "fastcgi", "scgi", "uwsgi"};

struct BindOptions {
  std::optional<unsigned> mode;          // of a Unix socket's file
  std::string owner, group;              // of that file: names or numbers
  std::optional<unsigned> backlog;       // not of an inherited socket
  std::optional<IpRanges> allow_from{};  // who may speak FastCGI, SCGI or uwsgi there, in place of the setting
  bool operator==(const BindOptions&) const = default;
};

// One address to listen on.
struct Bind {
  enum class Kind { tcp, unix_socket, inherited };
  Kind kind = Kind::tcp;
  std::string host = "127.0.0.1";  // tcp: name or address, IPv6 without brackets; empty: every interface
  std::uint16_t port = 8000;       // tcp; 0: the kernel chooses
  std::string path;                // unix_socket
  int fd = -1;                     // inherited
  std::optional<Wire> wire{};      // without one: `protocol`
  BindOptions options{};
  bool operator==(const Bind&) const = default;
};

using Options = std::vector<std::pair<std::string, std::string>>;  // a plugin's, in order of appearance

// What a route does with the slash at the end of a path. The two are those of Flask's strict_slashes.
enum class TrailingSlash : std::uint8_t {
  as_sent,   // it is the application's to decide
  strict,    // the prefix itself ends in one: without it the answer is a redirect to it
  tolerant,  // it makes no difference: the application gets the path without it
};

// Stands for all of a route's hosts: no other route of the same prefix has it. Empty: the route has none.
inline std::string_view first_host(const std::vector<std::string>& hosts) noexcept {
  return hosts.empty() ? std::string_view() : std::string_view(hosts.front());
}

// What people are shown of a route: "/shop", "shop.example/", with the first of its hosts. No two of a Config have the
// same.
inline std::string route_name(const std::string& prefix, const std::vector<std::string>& hosts) {
  return std::string(first_host(hosts)) + (prefix.empty() ? "/" : prefix);
}

// Where a route's options are written, as the beginning of a message about them: "narwhal.yaml:3:10", "--option". It is for
// people: routes that differ in nothing else are equal.
struct OptionPlaces {
  std::string all;  // of the options, or of the application that has none; empty: the command line
  Options each{};   // by key
  bool operator==(const OptionPlaces&) const noexcept { return true; }
};

// One application: a plugin mounted under a prefix, of some hosts or of those that no route names.
struct Route {
  std::string prefix;  // "" for the root, else "/shop": starts with a slash, ends without one
  std::string
      app;  // path of the .so, absolute like every path of a loaded Config; or a Python app: "web_flask.app:app"
  Options options;
  std::string plugin{};  // for a Python app, the path of the plugin that runs it; else empty
  std::optional<seconds> timeout{}, soft_timeout{};  // without one: that of the Config
  std::vector<std::string> hosts{};                  // as host_name() writes them; "*.example" matches any below
  TrailingSlash trailing_slash = TrailingSlash::as_sent;
  OptionPlaces option_places{};
  bool operator==(const Route&) const = default;

  std::string name() const { return route_name(prefix, hosts); }
};

enum class LogLevel { debug, info, warning, error, critical };

// What to do with a header field whose name contains '_': as a CGI-style variable it looks like one with a hyphen.
enum class HeaderMap { drop, refuse, dangerous };
enum class ClientHeader { both, x_forwarded_for, forwarded };  // which names the client

// Which versions of a PROXY header a connection may open with.
enum class ProxyProtocol { off, v1, v2, either };

// A part of the workers: a number of them, or a percentage.
struct Share {
  unsigned amount = 0;
  bool is_percent = false;
  bool operator==(const Share&) const = default;
};

// How a changed file is noticed.
enum class ReloadEngine { automatic, poll, inotify };

// What becomes of system calls that seccomp_file does not list.
enum class Seccomp { off, learn, enforce };

struct Config {
  // what is served
  std::vector<Bind> bind{Bind{}};
  Wire protocol = Wire::http;  // of the binds that name none
  std::vector<Route> routes;   // longest prefix first once checked; no host has a prefix twice
  bool preload_app = false;    // run the plugins' preload hook once, in the template
  bool reload = false;         // reload when a file that the running generation was made from has changed
  ReloadEngine reload_engine = ReloadEngine::automatic;
  std::vector<std::string> reload_extra_files;  // paths or patterns
  std::vector<std::string> pythonpath;          // directories, searched before Python's own
  std::string venv;                             // of a Python virtual environment; empty: the plugin looks for one
  std::string python;                           // the interpreter of Python applications; empty: there are none
  bool has_worker_hooks = false;                // `conf_file` has hooks that the workers of Python applications run
  bool has_master_hooks = false;                // and of the master: the process that has read the file runs them
  std::vector<std::string> sources;             // files that these settings were read from

  // processes
  unsigned workers = 1;
  std::string worker_class = "sync";     // Gunicorn's; for one of greenlets there are more threads
  unsigned threads = 1;                  // handler threads in each worker
  unsigned worker_connections = 10'000;  // connections one worker holds; more wait in the backlog
  unsigned queue_size = 1000;            // requests that wait for a handler in one worker; more get 503
  unsigned backlog = 2048;
  unsigned max_requests = 0;          // a worker that has answered so many is replaced; 0: never
  unsigned max_requests_jitter = 0;   // each worker adds a random number up to this
  std::size_t max_worker_memory = 0;  // bytes (PSS); a worker that uses more is replaced; 0: never
  seconds max_worker_lifetime = 0s;   // a worker that has served so long is replaced; 0: never
  std::size_t worker_memory_max = 0;  // bytes, by a cgroup of each worker; 0: none
  Share canary;                       // of the workers, that a reload gives to the new generation first; 0: none
  bool reuse_port = false;
  bool daemon = false;                    // the server runs in the background, in a session of its own
  bool enable_stdio_inheritance = false;  // with daemon: standard output and error are kept
  std::string user, group;                // of template and workers; empty: those of the master
  bool initgroups = false;
  int umask = 0;                // of a Unix socket's file
  std::string chdir;            // empty: start_directory
  std::string start_directory;  // where narwhal was started, by the name it had: links in it are followed again
  std::vector<std::pair<std::string, std::string>> raw_env;
  std::string pidfile;
  std::string proc_name;              // in the process titles; empty: the first app's name
  std::string control_socket;         // path of the socket for narwhalctl; empty: none
  int control_socket_mode = 0600;     // of its file
  std::vector<Bind> admin_bind;       // addresses for the status page and metrics, without commands
  std::string stage_dir;              // for private copies of plugins; empty: the first usable temporary directory
  bool allow_new_privileges = false;  // template and workers may gain rights by setuid programs
  bool keep_capabilities = false;     // they keep those that they do not need
  Seccomp seccomp = Seccomp::off;
  std::string seccomp_file;

  // time limits; 0 switches one off
  seconds boot_timeout = 60s;       // template or worker: from fork to ready
  seconds header_timeout = 30s;     // from a request's first byte (or the connection) to the end of its head
  seconds body_timeout = 30s;       // pause in receiving a body
  seconds write_timeout = 30s;      // pause in sending a response
  seconds keepalive = 75s;          // idle time of a kept-alive connection; 0: one request per connection
  seconds timeout = 30s;            // one request in its handler, without its waiting for the client
  seconds soft_timeout = 0s;        // the same, but only logged, with the stack of the handler
  seconds graceful_timeout = 30s;   // a retired worker finishes its requests
  seconds heartbeat_timeout = 30s;  // a worker whose loop hangs this long is killed
  seconds probation = 30s;          // a new generation that crash-loops within this time is rolled back
  seconds canary_time = 30s;        // the new generation is compared with the old one for this long

  // limits of a request, in bytes except for the number of fields
  std::size_t limit_request_line = 4094;
  std::size_t limit_request_fields = 100;
  std::size_t limit_request_field_size = 8190;
  std::size_t limit_request_body = 0;  // 0: unlimited
  unsigned poison_limit = 0;           // a request that was running in so many crashed workers is refused; 0: none is
  seconds poison_window = 60s;         // within this time, and until it has been quiet for so long
  std::size_t min_rate = 100;          // bytes per second, of a body or a response in transit; 0: none
  std::size_t body_buffer_size = 64 * 1024;  // a larger body goes to an unlinked file
  std::string tmp_upload_dir = "/tmp";
  bool request_buffering = true;                  // Python applications are called when the body is complete
  bool sendfile = true;                           // Python applications' files are sent by sendfile(2)
  std::size_t response_buffer_size = 256 * 1024;  // unsent bytes before a writing handler waits for its client

  // behind a proxy; a peer on a Unix socket is trusted in both lists
  IpRanges forwarded_allow_ips{"127.0.0.1,::1"};  // peers whose forwarding headers are trusted
  Options secure_scheme_headers{                  // field and value that mean https, if such a peer sends them
                                {"X-FORWARDED-PROTOCOL", "ssl"},
                                {"X-FORWARDED-PROTO", "https"},
                                {"X-FORWARDED-SSL", "on"}};
  ClientHeader client_header = ClientHeader::both;  // both: a request in which they disagree is refused
  HeaderMap header_map = HeaderMap::drop;
  std::vector<std::string> forwarder_headers{"SCRIPT_NAME", "PATH_INFO"};  // kept if such a peer sends them; "*": all
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  IpRanges proxy_allow_ips{"127.0.0.1,::1"};  // peers that must send a PROXY header
  // peers that may speak these wires: what they say of their clients is believed
  IpRanges uwsgi_allow_ips{"127.0.0.1,::1"};    // uwsgi
  IpRanges gateway_allow_ips{"127.0.0.1,::1"};  // FastCGI and SCGI

  // logs
  LogLevel loglevel = LogLevel::info;
  std::string errorlog = "-";  // "-": stderr
  std::string accesslog;       // "-": stdout; empty: none
  std::string access_log_format = R"(%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s")";
  bool capture_output = false;
  // one of these makes a process write the logs: core/log_records.hpp
  std::string logger_class;  // empty: Gunicorn's
  std::string logconfig, logconfig_json;
  bool logconfig_dict = false;        // `conf_file` has one
  bool conf_changes_loggers = false;  // it adds filters or handlers to Gunicorn's loggers
  std::string conf_file;              // a gunicorn.conf.py: its path, or "python:MODULE"; empty: none
  bool syslog = false;
  std::string syslog_addr = "udp://localhost:514";
  std::string syslog_prefix;  // empty: proc_name
  std::string syslog_facility = "user";
  bool disable_redirect_access_to_syslog = false;
  std::string statsd_host;  // empty: no metrics are sent
  std::string statsd_prefix;
  std::string dogstatsd_tags;
  bool enable_backlog_metric = false;
  std::string server_header = "narwhal";  // empty: no Server field

  bool operator==(const Config&) const = default;
};

}  // namespace narwhal
