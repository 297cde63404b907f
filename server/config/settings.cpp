#include "server/config/settings.hpp"

#include <algorithm>
#include <array>

namespace narwhal::server {
namespace {

using enum Group;
using Text = Setting::Text;
using Change = Setting::Change;
using Above = Setting::Above;

// A day: longer limits are typing errors. Sizes stop where an int64 of the ABI would.
constexpr std::uint64_t kSecondsMax = 24 * 60 * 60;
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 62;
constexpr std::uint64_t kCountMax = 1'000'000;

// Scoreboard::slots_max slots hold two generations during a reload, and workers on their way out.
constexpr std::uint64_t kWorkersMax = 500;
constexpr std::uint64_t kThreadsMax = 255;

const Setting kSettings[] = {
    {"bind", "-b,--bind", served, &Config::bind, "ADDRESS", "", "HOST:PORT, [V6]:PORT, unix:PATH or fd://N"},
    {"preload_app", "--preload", served, &Config::preload_app, "", "",
     "run the plugins' preload hook once, before any fork"},
    {"reload", "--reload", served, &Config::reload, "", "", "reload when a file of the application has changed"},
    {"reload_engine", "--reload-engine", served, &Config::reload_engine, "WORD", "",
     "how that is noticed: auto, poll or inotify"},
    {"reload_extra_files", "--reload-extra-file", served, &Config::reload_extra_files, "FILE", "",
     "another file, or pattern, that counts", 0, 0, Text::path},
    {"chdir", "--chdir", served, &Config::chdir, "DIR", "", "go there first; relative paths count from it", 0, 0,
     Text::path},
    {"pythonpath", "--pythonpath", served, &Config::pythonpath, "DIRS", "", "where Python looks for modules first", 0,
     0, Text::paths},
    {"venv", "--venv", served, &Config::venv, "DIR", "", "virtual environment that Python apps run in", 0, 0,
     Text::path},
    {"raw_env", "-e,--env", served, &Config::raw_env, "NAME=VALUE", "", "environment variable for the plugins"},

    {"workers", "-w,--workers", processes, &Config::workers, "INT", "", "worker processes", 1, kWorkersMax},
    {"threads", "--threads", processes, &Config::threads, "INT", "", "handler threads in each worker", 1, kThreadsMax},
    {"worker_connections", "--worker-connections", processes, &Config::worker_connections, "INT", "",
     "connections one worker holds; others wait outside", 1, kCountMax},
    {"queue_size", "--queue-size", processes, &Config::queue_size, "INT", "",
     "requests that wait in one worker; more get 503", 1, kCountMax},
    {"backlog", "--backlog", processes, &Config::backlog, "INT", "", "connections that wait in the kernel", 1,
     kCountMax},
    {"reuse_port", "--reuse-port", processes, &Config::reuse_port, "", "", "bind with SO_REUSEPORT", 0, 0, Text::plain,
     Change::restart},
    {"user", "-u,--user", processes, &Config::user, "USER", "", "user of everything but the master"},
    {"group", "-g,--group", processes, &Config::group, "GROUP", "", "group of everything but the master"},
    {"initgroups", "--initgroups", processes, &Config::initgroups, "", "", "take the user's other groups, too"},
    {"umask", "-m,--umask", processes, &Config::umask, "MODE", "", "umask of a Unix socket's file, in octal", 0, 0777,
     Text::plain, Change::restart},
    {"pidfile", "-p,--pid", processes, &Config::pidfile, "FILE", "", "file for the master's pid", 0, 0, Text::path},
    {"proc_name", "-n,--name", processes, &Config::proc_name, "NAME", "", "name in the process titles"},
    {"stage_dir", "--stage-dir", processes, &Config::stage_dir, "DIR", "", "where private copies of plugins live", 0, 0,
     Text::path, Change::restart},

    {"timeout", "-t,--timeout", time_limits, &Config::timeout, "INT", "seconds", "one request in its handler; then 504",
     0, kSecondsMax},
    {"graceful_timeout", "--graceful-timeout", time_limits, &Config::graceful_timeout, "INT", "seconds",
     "a retired worker's last requests", 0, kSecondsMax},
    {"keepalive", "--keep-alive", time_limits, &Config::keepalive, "INT", "seconds",
     "idle on a kept-alive connection; 0: never kept", 0, kSecondsMax},
    {"boot_timeout", "--boot-timeout", time_limits, &Config::boot_timeout, "INT", "seconds",
     "a new process, from fork to ready", 0, kSecondsMax},
    {"header_timeout", "--header-timeout", time_limits, &Config::header_timeout, "INT", "seconds",
     "a request's whole head", 0, kSecondsMax},
    {"body_timeout", "--body-timeout", time_limits, &Config::body_timeout, "INT", "seconds",
     "silence while a body is coming", 0, kSecondsMax},
    {"write_timeout", "--write-timeout", time_limits, &Config::write_timeout, "INT", "seconds",
     "silence while a response is leaving", 0, kSecondsMax},
    {"heartbeat_timeout", "--heartbeat-timeout", time_limits, &Config::heartbeat_timeout, "INT", "seconds",
     "a worker whose loop stands still", 0, kSecondsMax},
    {"probation", "--probation", time_limits, &Config::probation, "INT", "seconds",
     "a reload that crash-loops is rolled back", 0, kSecondsMax},

    {"limit_request_line", "--limit-request-line", request_limits, &Config::limit_request_line, "INT", "bytes",
     "request line; 0: 1 MiB", 0, 8190, Text::plain, Change::reload, Above::cut},
    {"limit_request_fields", "--limit-request-fields", request_limits, &Config::limit_request_fields, "INT", "",
     "number of header fields; 0: 32768", 0, 32768, Text::plain, Change::reload, Above::cut},
    {"limit_request_field_size", "--limit-request-field_size,--limit-request-field-size", request_limits,
     &Config::limit_request_field_size, "INT", "bytes", "one header field; 0: no limit of its own", 0, 1024 * 1024,
     Text::plain, Change::reload, Above::cut},
    {"limit_request_body", "--limit-request-body", request_limits, &Config::limit_request_body, "INT", "bytes",
     "a request's body; more gets 413; 0: unlimited", 0, kBytesMax},
    {"min_rate", "--min-rate", request_limits, &Config::min_rate, "INT", "bytes",
     "a second, of a body or response under way", 0, 1024 * 1024},
    {"body_buffer_size", "--body-buffer-size", request_limits, &Config::body_buffer_size, "INT", "bytes",
     "a larger body waits in a file", 0, 1024 * 1024 * 1024},
    {"tmp_upload_dir", "--tmp-upload-dir", request_limits, &Config::tmp_upload_dir, "DIR", "", "directory of that file",
     0, 0, Text::path},
    {"request_buffering", "--no-request-buffering", request_limits, &Config::request_buffering, "", "",
     "Python applications read a body as it arrives"},
    {"response_buffer_size", "--response-buffer-size", request_limits, &Config::response_buffer_size, "INT", "bytes",
     "unsent before a writing handler waits", 1, 1024 * 1024 * 1024},

    {"forwarded_allow_ips", "--forwarded-allow-ips", proxy, &Config::forwarded_allow_ips, "IPS", "",
     "whose word about its client is believed"},
    {"secure_scheme_headers", "--secure-scheme-headers", proxy, &Config::secure_scheme_headers, "NAME=VALUE", "",
     "a field and its value that mean https", 0, 0, Text::field},
    {"header_map", "--header-map", proxy, &Config::header_map, "WORD", "",
     "fields named with '_': drop, refuse or dangerous"},
    {"forwarder_headers", "--forwarder-headers", proxy, &Config::forwarder_headers, "NAMES", "",
     "those a trusted proxy may send", 0, 0, Text::field},
    {"proxy_protocol", "--proxy-protocol", proxy, &Config::proxy_protocol, "[MODE]", "",
     "PROXY headers: off, v1, v2 or auto", 0, 0, Text::plain, Change::reload, Above::refused, "auto"},
    {"proxy_allow_ips", "--proxy-allow-from", proxy, &Config::proxy_allow_ips, "IPS", "",
     "who has to send a PROXY header"},

    {"loglevel", "--log-level", logs, &Config::loglevel, "LEVEL", "", "debug, info, warning, error or critical"},
    {"errorlog", "--error-logfile,--log-file", logs, &Config::errorlog, "FILE", "", "error log; '-': stderr", 0, 0,
     Text::log_target},
    {"accesslog", "--access-logfile", logs, &Config::accesslog, "FILE", "", "access log; '-': stdout", 0, 0,
     Text::log_target},
    {"access_log_format", "--access-logformat", logs, &Config::access_log_format, "FORMAT", "",
     "one access line, in Gunicorn's atoms"},
    {"capture_output", "--capture-output", logs, &Config::capture_output, "", "",
     "what plugins print goes to the error log"},
    {"server_header", "--server-header", logs, &Config::server_header, "TEXT", "",
     "the Server field of responses; empty: none"},
};

}  // namespace

std::string_view group_title(Group group) {
  static constexpr std::array<std::string_view, 6> titles{
      "What is served",      "Processes",      "Time limits (0 switches one off)",
      "Limits of a request", "Behind a proxy", "Logs"};
  return titles[static_cast<std::size_t>(group)];
}

std::span<const Setting> settings() { return kSettings; }

const Setting* find_setting(std::string_view name) {
  const auto found = std::find_if(std::begin(kSettings), std::end(kSettings),
                                  [name](const Setting& setting) { return setting.name == name; });
  return found == std::end(kSettings) ? nullptr : found;
}

std::string_view long_flag(const Setting& setting) {
  const std::string_view flags = setting.flags;
  const std::size_t start = flags.find("--");
  return flags.substr(start, flags.find(',', start) - start);
}

}  // namespace narwhal::server
