#include "server/config/settings.hpp"

#include <algorithm>
#include <array>

namespace narwhal::server {
namespace {

using enum Group;
using Text = Setting::Text;
using Change = Setting::Change;
using Above = Setting::Above;

// A day: a longer limit is a typing error. Sizes end where an int64 of the ABI does.
constexpr std::uint64_t seconds_max = 24 * 60 * 60;
constexpr std::uint64_t bytes_max = std::uint64_t{1} << 62;
constexpr std::uint64_t count_max = 1'000'000;
constexpr std::uint64_t requests_max = 1'000'000'000;
constexpr std::uint64_t lifetime_max = 365 * seconds_max;

// Scoreboard::slots_max slots hold two generations during a reload, and workers that are leaving.
constexpr std::uint64_t workers_max = 500;
constexpr std::uint64_t threads_max = 255;

const Setting setting_table[] = {
    {"bind", "-b,--bind", served, &Config::bind, "ADDRESS", "", "listen on HOST:PORT, unix:PATH or fd://N"},
    {"protocol", "--protocol", served, &Config::protocol, "WORD", "",
     "default of --bind: http, fastcgi, scgi or uwsgi"},
    {"preload_app", "--preload", served, &Config::preload_app, "", "",
     "run the plugins' preload hook once, before any fork"},
    {"reload", "--reload", served, &Config::reload, "", "", "reload when a file of the application has changed"},
    {"reload_engine", "--reload-engine", served, &Config::reload_engine, "WORD", "",
     "method of --reload: auto, poll or inotify"},
    {"reload_extra_files", "--reload-extra-file", served, &Config::reload_extra_files, "FILE", "",
     "additional file or pattern that --reload watches", 0, 0, Text::path},
    {"chdir", "--chdir", served, &Config::chdir, "DIR", "", "change to this directory first", 0, 0, Text::path},
    {"pythonpath", "--pythonpath", served, &Config::pythonpath, "DIRS", "",
     "directories that Python searches for modules first", 0, 0, Text::paths},
    {"venv", "--venv", served, &Config::venv, "DIR", "", "virtual environment of the Python applications", 0, 0,
     Text::path},
    {"raw_env", "-e,--env", served, &Config::raw_env, "NAME=VALUE", "",
     "set an environment variable for the application"},

    {"workers", "-w,--workers", processes, &Config::workers, "INT", "", "number of worker processes, or auto", 1,
     workers_max},
    {"threads", "--threads", processes, &Config::threads, "INT", "", "number of handler threads in each worker", 1,
     threads_max},
    {"worker_class", "-k,--worker-class", processes, &Config::worker_class, "NAME", "",
     "Gunicorn's kind of worker; gevent: more threads"},
    {"worker_connections", "--worker-connections", processes, &Config::worker_connections, "INT", "",
     "connections per worker; more wait in the backlog", 1, count_max},
    {"queue_size", "--queue-size", processes, &Config::queue_size, "INT", "",
     "requests queued in each worker; more get 503", 1, count_max},
    {"backlog", "--backlog", processes, &Config::backlog, "INT", "", "pending connections that the kernel may queue", 1,
     count_max},
    {"max_requests", "--max-requests", processes, &Config::max_requests, "INT", "",
     "replace a worker after so many requests; 0: never", 0, requests_max},
    {"max_requests_jitter", "--max-requests-jitter", processes, &Config::max_requests_jitter, "INT", "",
     "add a random number up to this to --max-requests", 0, requests_max},
    {"max_worker_memory", "--max-worker-memory", processes, &Config::max_worker_memory, "INT", "bytes",
     "replace a worker that uses more; 0: never", 0, bytes_max},
    {"max_worker_lifetime", "--max-worker-lifetime", processes, &Config::max_worker_lifetime, "INT", "seconds",
     "replace a worker of this age; 0: never", 0, lifetime_max},
    {"worker_memory_max", "--worker-memory-max", processes, &Config::worker_memory_max, "INT", "bytes",
     "memory limit of a worker, by a cgroup; 0: none", 0, bytes_max},
    {"canary", "--canary", processes, &Config::canary, "SHARE", "", "reload a number or percentage of workers first", 0,
     workers_max},
    {"reuse_port", "--reuse-port", processes, &Config::reuse_port, "", "", "set SO_REUSEPORT on the listening sockets",
     0, 0, Text::plain, Change::restart},
    {"daemon", "-D,--daemon", processes, &Config::daemon, "", "", "run in the background; return when it serves", 0, 0,
     Text::plain, Change::restart},
    {"enable_stdio_inheritance", "-R,--enable-stdio-inheritance", processes, &Config::enable_stdio_inheritance, "", "",
     "with --daemon: keep standard output and error", 0, 0, Text::plain, Change::restart},
    {"user", "-u,--user", processes, &Config::user, "USER", "", "run all processes but the master as this user"},
    {"group", "-g,--group", processes, &Config::group, "GROUP", "", "run all processes but the master as this group"},
    {"initgroups", "--initgroups", processes, &Config::initgroups, "", "",
     "also take the supplementary groups of --user"},
    {"umask", "-m,--umask", processes, &Config::umask, "MODE", "", "umask for the file of a Unix socket: octal, as 022",
     0, 0777, Text::plain, Change::restart},
    {"pidfile", "-p,--pid", processes, &Config::pidfile, "FILE", "", "write the master's process ID to this file", 0, 0,
     Text::path},
    {"proc_name", "-n,--name", processes, &Config::proc_name, "NAME", "",
     "name to show in the titles of the processes"},
    {"control_socket", "--control-socket", processes, &Config::control_socket, "PATH", "",
     "Unix socket for narwhalctl, status and metrics", 0, 0, Text::path, Change::restart},
    {"control_socket_mode", "--control-socket-mode", processes, &Config::control_socket_mode, "MODE", "",
     "permissions of that socket: octal, as 0660", 0, 0777, Text::plain, Change::restart},
    {"admin_bind", "--admin-bind", processes, &Config::admin_bind, "ADDRESS", "",
     "HOST:PORT for status page and metrics, read-only", 0, 0, Text::plain, Change::restart},
    {"stage_dir", "--stage-dir", processes, &Config::stage_dir, "DIR", "",
     "directory for private copies of the plugins", 0, 0, Text::path, Change::restart},
    {"allow_new_privileges", "--allow-new-privileges", processes, &Config::allow_new_privileges, "", "",
     "let setuid programs of the application gain rights"},
    {"keep_capabilities", "--keep-capabilities", processes, &Config::keep_capabilities, "", "",
     "keep capabilities in template and workers"},
    {"seccomp", "--seccomp", processes, &Config::seccomp, "WORD", "", "unlisted system calls: off, learn or enforce"},
    {"seccomp_file", "--seccomp-file", processes, &Config::seccomp_file, "FILE", "",
     "the list of system calls for --seccomp", 0, 0, Text::path},

    {"timeout", "-t,--timeout", time_limits, &Config::timeout, "INT", "seconds",
     "maximum handler time per request; then 504", 0, seconds_max},
    {"soft_timeout", "--soft-timeout", time_limits, &Config::soft_timeout, "INT", "seconds",
     "log slower requests, with the stack; 0: never", 0, seconds_max},
    {"graceful_timeout", "--graceful-timeout", time_limits, &Config::graceful_timeout, "INT", "seconds",
     "time to finish requests at a stop; 0: none", 0, seconds_max},
    {"keepalive", "--keep-alive", time_limits, &Config::keepalive, "INT", "seconds",
     "keep idle connections this long; 0: never", 0, seconds_max},
    {"boot_timeout", "--boot-timeout", time_limits, &Config::boot_timeout, "INT", "seconds",
     "time for a new process to become ready", 0, seconds_max},
    {"header_timeout", "--header-timeout", time_limits, &Config::header_timeout, "INT", "seconds",
     "maximum time to receive a request head", 0, seconds_max},
    {"body_timeout", "--body-timeout", time_limits, &Config::body_timeout, "INT", "seconds",
     "maximum pause in receiving a request body", 0, seconds_max},
    {"write_timeout", "--write-timeout", time_limits, &Config::write_timeout, "INT", "seconds",
     "maximum pause in sending a response", 0, seconds_max},
    {"heartbeat_timeout", "--heartbeat-timeout", time_limits, &Config::heartbeat_timeout, "INT", "seconds",
     "kill a worker whose loop hangs this long", 0, seconds_max},
    {"probation", "--probation", time_limits, &Config::probation, "INT", "seconds",
     "roll back if a reload crash-loops within", 0, seconds_max},
    {"canary_time", "--canary-time", time_limits, &Config::canary_time, "INT", "seconds",
     "compare new and old workers for this long", 0, seconds_max},

    {"limit_request_line", "--limit-request-line", request_limits, &Config::limit_request_line, "INT", "bytes",
     "maximum size of the request line; 0: 1 MiB", 0, 8190, Text::plain, Change::reload, Above::cut},
    {"limit_request_fields", "--limit-request-fields", request_limits, &Config::limit_request_fields, "INT", "",
     "maximum number of header fields; 0: 32768", 0, 32768, Text::plain, Change::reload, Above::cut},
    {"limit_request_field_size", "--limit-request-field_size,--limit-request-field-size", request_limits,
     &Config::limit_request_field_size, "INT", "bytes", "maximum size of one header field; 0: 1 MiB", 0, 1024 * 1024,
     Text::plain, Change::reload, Above::cut},
    {"limit_request_body", "--limit-request-body", request_limits, &Config::limit_request_body, "INT", "bytes",
     "maximum request body, then 413; 0: unlimited", 0, bytes_max},
    {"poison_limit", "--poison-limit", request_limits, &Config::poison_limit, "INT", "",
     "refuse a request after it crashed N workers; 0: never", 0, 1000},
    {"poison_window", "--poison-window", request_limits, &Config::poison_window, "INT", "seconds",
     "for --poison-limit: time between the crashes", 1, seconds_max},
    {"min_rate", "--min-rate", request_limits, &Config::min_rate, "INT", "bytes per second",
     "minimum transfer rate of a client", 0, 1024 * 1024},
    {"body_buffer_size", "--body-buffer-size", request_limits, &Config::body_buffer_size, "INT", "bytes",
     "larger request bodies are stored in a file", 0, 1024 * 1024 * 1024},
    {"tmp_upload_dir", "--tmp-upload-dir", request_limits, &Config::tmp_upload_dir, "DIR", "",
     "directory for request bodies stored in files", 0, 0, Text::path},
    {"request_buffering", "--no-request-buffering", request_limits, &Config::request_buffering, "", "",
     "let Python applications read bodies as they arrive"},
    {"sendfile", "--no-sendfile", request_limits, &Config::sendfile, "", "",
     "read files that Python sends, without sendfile(2)"},
    {"response_buffer_size", "--response-buffer-size", request_limits, &Config::response_buffer_size, "INT", "bytes",
     "unsent response before its handler waits", 1, 1024 * 1024 * 1024},

    {"forwarded_allow_ips", "--forwarded-allow-ips", proxy, &Config::forwarded_allow_ips, "IPS", "",
     "peers with trusted forwarding headers"},
    {"client_header", "--client-header", proxy, &Config::client_header, "WORD", "",
     "client by x-forwarded-for, forwarded or both"},
    {"secure_scheme_headers", "--secure-scheme-headers", proxy, &Config::secure_scheme_headers, "NAME=VALUE", "",
     "header field and value that mean https", 0, 0, Text::field},
    {"header_map", "--header-map", proxy, &Config::header_map, "WORD", "",
     "headers with '_': drop, refuse or dangerous"},
    {"forwarder_headers", "--forwarder-headers", proxy, &Config::forwarder_headers, "NAMES", "",
     "'_' headers of trusted peers", 0, 0, Text::field},
    {"proxy_protocol", "--proxy-protocol", proxy, &Config::proxy_protocol, "[MODE]", "",
     "expect PROXY headers: off, v1, v2 or auto", 0, 0, Text::plain, Change::reload, Above::refused, "auto"},
    {"proxy_allow_ips", "--proxy-allow-from", proxy, &Config::proxy_allow_ips, "IPS", "",
     "peers that must send a PROXY header"},
    {"uwsgi_allow_ips", "--uwsgi-allow-from", proxy, &Config::uwsgi_allow_ips, "IPS", "", "peers that may speak uwsgi"},
    {"gateway_allow_ips", "--gateway-allow-from", proxy, &Config::gateway_allow_ips, "IPS", "",
     "peers that may speak FastCGI or SCGI"},

    {"loglevel", "--log-level", logs, &Config::loglevel, "LEVEL", "",
     "log level: debug, info, warning, error or critical"},
    {"errorlog", "--error-logfile,--log-file", logs, &Config::errorlog, "FILE", "",
     "error log file; '-': standard error", 0, 0, Text::log_target},
    {"accesslog", "--access-logfile", logs, &Config::accesslog, "FILE", "", "access log file; '-': standard output", 0,
     0, Text::log_target},
    {"access_log_format", "--access-logformat", logs, &Config::access_log_format, "FORMAT", "",
     "format of the access log: atoms, or json"},
    {"capture_output", "--capture-output", logs, &Config::capture_output, "", "",
     "write the output of plugins to the error log"},
    {"logger_class", "--logger-class", logs, &Config::logger_class, "NAME", "",
     "class of the log process in place of Gunicorn's"},
    {"logconfig", "--log-config", logs, &Config::logconfig, "FILE", "", "configuration of Python's logging", 0, 0,
     Text::path},
    {"logconfig_json", "--log-config-json", logs, &Config::logconfig_json, "FILE", "",
     "the same as a dictionary in JSON", 0, 0, Text::path},
    {"syslog", "--log-syslog", logs, &Config::syslog, "", "", "send the logs to syslog"},
    {"syslog_addr", "--log-syslog-to", logs, &Config::syslog_addr, "ADDRESS", "", "where syslog is: udp, tcp or unix"},
    {"syslog_prefix", "--log-syslog-prefix", logs, &Config::syslog_prefix, "NAME", "",
     "name of the program in syslog; default: --name"},
    {"syslog_facility", "--log-syslog-facility", logs, &Config::syslog_facility, "NAME", "", "facility of syslog"},
    {"disable_redirect_access_to_syslog", "--disable-redirect-access-to-syslog", logs,
     &Config::disable_redirect_access_to_syslog, "", "", "no access log in syslog"},
    {"statsd_host", "--statsd-host", logs, &Config::statsd_host, "ADDRESS", "",
     "send metrics to HOST:PORT or unix://PATH"},
    {"statsd_prefix", "--statsd-prefix", logs, &Config::statsd_prefix, "NAME", "", "prefix of the metrics"},
    {"dogstatsd_tags", "--dogstatsd-tags", logs, &Config::dogstatsd_tags, "TAGS", "",
     "tags of the metrics, separated by commas"},
    {"enable_backlog_metric", "--enable-backlog-metric", logs, &Config::enable_backlog_metric, "", "",
     "also the length of the backlog"},
    {"server_header", "--server-header", logs, &Config::server_header, "TEXT", "",
     "Server response header; empty: none"},
};

}  // namespace

std::string_view group_title(Group group) {
  static constexpr std::array<std::string_view, 6> titles{
      "What is served",      "Processes",      "Time limits (0 switches a limit off)",
      "Limits of a request", "Behind a proxy", "Logs"};
  return titles[static_cast<std::size_t>(group)];
}

std::span<const Setting> settings() { return setting_table; }

const Setting* find_setting(std::string_view name) {
  const auto found = std::find_if(std::begin(setting_table), std::end(setting_table),
                                  [name](const Setting& setting) { return setting.name == name; });
  return found == std::end(setting_table) ? nullptr : found;
}

std::string_view long_flag(const Setting& setting) {
  const std::string_view flags = setting.flags;
  const std::size_t start = flags.find("--");
  return flags.substr(start, flags.find(',', start) - start);
}

std::vector<std::string_view> split_flags(std::string_view flags) {
  std::vector<std::string_view> names;
  while (!flags.empty()) {
    const std::size_t comma = flags.find(',');
    names.push_back(flags.substr(0, comma));
    flags = comma == std::string_view::npos ? std::string_view{} : flags.substr(comma + 1);
  }
  return names;
}

}  // namespace narwhal::server
