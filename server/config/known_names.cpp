#include "server/config/known_names.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "server/config/nearest_name.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

// A setting of Gunicorn 26 that narwhal does not have.
struct Absent {
  std::string_view name;
  std::string_view flags;    // separated by commas, may be empty
  std::string_view instead;  // empty: may come later; else why it will not, or what to use
};

constexpr std::string_view hooks_are_functions = "hooks are functions; write them in a gunicorn.conf.py or in a plugin";
constexpr std::string_view python_only = "it only affects Python code of Gunicorn itself";
constexpr std::string_view ambiguous = "it would accept ambiguous requests";
constexpr std::string_view flag_only = "it is a flag of the command line, not a key";

const Absent absent_settings[] = {
    {"config", "", flag_only},
    {"check_config", "", flag_only},
    {"print_config", "", flag_only},
    {"worker_class", "-k,--worker-class",
     "there is only one kind of worker, which does what sync and gthread do: set 'threads'"},
    {"max_requests", "--max-requests", ""},
    {"max_requests_jitter", "--max-requests-jitter", ""},
    {"asgi_loop", "--asgi-loop", python_only},
    {"asgi_lifespan", "--asgi-lifespan", python_only},
    {"asgi_disconnect_grace_period", "--asgi-disconnect-grace-period", python_only},
    {"http_parser", "--http-parser", "there is only one parser"},
    {"spew", "--spew", python_only},
    {"sendfile", "--no-sendfile", ""},
    {"daemon", "-D,--daemon", ""},
    {"worker_tmp_dir", "--worker-tmp-dir", "its heartbeat does not use a file"},
    {"paste", "--paste,--paster", python_only},
    {"raw_paste_global_conf", "--paste-global", python_only},
    {"protocol", "--protocol", "it serves HTTP only"},
    {"uwsgi_allow_ips", "--uwsgi-allow-from", ""},
    {"permit_obsolete_folding", "--permit-obsolete-folding", ambiguous},
    {"strip_header_spaces", "--strip-header-spaces", ambiguous},
    {"permit_unconventional_http_method", "--permit-unconventional-http-method", ambiguous},
    {"permit_unconventional_http_version", "--permit-unconventional-http-version", ambiguous},
    {"casefold_http_method", "--casefold-http-method", ambiguous},
    {"root_path", "--root-path", "set the prefix of a route"},
    {"disable_redirect_access_to_syslog", "--disable-redirect-access-to-syslog", ""},
    {"logger_class", "--logger-class", python_only},
    {"logconfig", "--log-config", python_only},
    {"logconfig_dict", "", python_only},
    {"logconfig_json", "--log-config-json", python_only},
    {"syslog_addr", "--log-syslog-to", ""},
    {"syslog", "--log-syslog", ""},
    {"syslog_prefix", "--log-syslog-prefix", ""},
    {"syslog_facility", "--log-syslog-facility", ""},
    {"enable_stdio_inheritance", "-R,--enable-stdio-inheritance", ""},
    {"statsd_host", "--statsd-host", ""},
    {"dogstatsd_tags", "--dogstatsd-tags", ""},
    {"statsd_prefix", "--statsd-prefix", ""},
    {"enable_backlog_metric", "--enable-backlog-metric", ""},
    {"default_proc_name", "", "set 'proc_name'"},
    {"keyfile", "--keyfile", ""},
    {"certfile", "--certfile", ""},
    {"ssl_version", "--ssl-version", "it does nothing in Gunicorn either"},
    {"cert_reqs", "--cert-reqs", ""},
    {"ca_certs", "--ca-certs", ""},
    {"suppress_ragged_eofs", "--suppress-ragged-eofs", ""},
    {"do_handshake_on_connect", "--do-handshake-on-connect", "a handshake never blocks a worker"},
    {"ciphers", "--ciphers", ""},
    {"http_protocols", "--http-protocols", ""},
    {"http2_cleartext", "--http2-cleartext", ""},
    {"http2_max_concurrent_streams", "--http2-max-concurrent-streams", ""},
    {"http2_initial_window_size", "--http2-initial-window-size", ""},
    {"http2_max_frame_size", "--http2-max-frame-size", ""},
    {"http2_max_header_list_size", "--http2-max-header-list-size", ""},
    {"dirty_apps", "--dirty-app", ""},
    {"dirty_workers", "--dirty-workers", ""},
    {"dirty_timeout", "--dirty-timeout", ""},
    {"dirty_threads", "--dirty-threads", ""},
    {"dirty_graceful_timeout", "--dirty-graceful-timeout", ""},
    {"control_socket", "--control-socket", ""},
    {"control_socket_mode", "--control-socket-mode", ""},
    {"control_socket_disable", "--no-control-socket", ""},
    {"on_starting", "", hooks_are_functions},
    {"on_reload", "", hooks_are_functions},
    {"when_ready", "", hooks_are_functions},
    {"pre_fork", "", hooks_are_functions},
    {"post_fork", "", hooks_are_functions},
    {"post_worker_init", "", hooks_are_functions},
    {"worker_int", "", hooks_are_functions},
    {"worker_abort", "", hooks_are_functions},
    {"pre_exec", "", hooks_are_functions},
    {"pre_request", "", hooks_are_functions},
    {"post_request", "", hooks_are_functions},
    {"child_exit", "", hooks_are_functions},
    {"worker_exit", "", hooks_are_functions},
    {"nworkers_changed", "", hooks_are_functions},
    {"on_exit", "", hooks_are_functions},
    {"ssl_context", "", hooks_are_functions},
    {"on_dirty_starting", "", hooks_are_functions},
    {"dirty_post_fork", "", hooks_are_functions},
    {"dirty_worker_init", "", hooks_are_functions},
    {"dirty_worker_exit", "", hooks_are_functions},
};

// Gunicorn's default values for which Python's bool() is True, and worker classes that behave like ours. "": any value.
constexpr std::pair<std::string_view, std::string_view> moot_values[] = {
    {"worker_class", "sync"},
    {"worker_class", "gthread"},
    {"worker_class", "gunicorn.workers.sync.SyncWorker"},
    {"worker_class", "gunicorn.workers.gthread.ThreadWorker"},
    {"sendfile", "true"},
    {"reload_engine", "auto"},
    {"protocol", "http"},
    {"http_parser", "auto"},
    {"http_protocols", "h1"},
    {"http2_cleartext", "off"},
    {"asgi_loop", "auto"},
    {"asgi_lifespan", "auto"},
    {"logger_class", "gunicorn.glogging.Logger"},
    {"suppress_ragged_eofs", "true"},
    {"control_socket_disable", "true"},
    {"worker_tmp_dir", ""},
};

std::vector<std::string_view> split_flags(std::string_view flags) {
  std::vector<std::string_view> result;
  while (!flags.empty()) {
    const std::size_t comma = flags.find(',');
    result.push_back(flags.substr(0, comma));
    flags = comma == std::string_view::npos ? std::string_view{} : flags.substr(comma + 1);
  }
  return result;
}

bool has_flag(const Absent& absent, std::string_view flag) {
  const std::vector<std::string_view> flags = split_flags(absent.flags);
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

std::string absent_text(std::string_view name, const Absent& absent) {
  const std::string start = "'" + std::string(name) + "' is a setting of Gunicorn that ";
  if (absent.instead.empty()) return start + "this version of narwhal does not have yet";
  return start + "narwhal does not have: " + std::string(absent.instead);
}

std::string unknown_text(const char* what, std::string_view name, const std::vector<std::string_view>& known) {
  const std::string start = std::string("unknown ") + what + " '" + std::string(name) + "'";
  const std::string_view near = nearest_name(name, known);
  return near.empty() ? start : start + ": did you mean '" + std::string(near) + "'?";
}

}  // namespace

bool is_moot(std::string_view name, std::string_view value) {
  return std::any_of(std::begin(moot_values), std::end(moot_values), [&](const auto& each) {
    return each.first == name && (each.second.empty() || each.second == value);
  });
}

std::vector<MootFlag> moot_flags() {
  std::vector<MootFlag> result;
  for (const Absent& absent : absent_settings) {
    if (absent.name == "worker_class" || absent.name == "worker_tmp_dir") result.push_back({absent.flags, absent.name});
  }
  return result;
}

std::vector<std::string_view> absent_names() {
  std::vector<std::string_view> names;
  for (const Absent& absent : absent_settings) names.push_back(absent.name);
  return names;
}

std::string unknown_key_text(std::string_view key) {
  for (const Absent& absent : absent_settings) {
    if (absent.name == key) return absent_text(key, absent);
  }
  std::vector<std::string_view> known{"app", "options", "routes", "wsgi_app"};
  for (const Setting& setting : settings()) known.push_back(setting.name);
  // The spelling of the flag ("access-logfile", "log_level") is the most common wrong key.
  std::string flag = "--" + std::string(key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  for (const Setting& setting : settings()) {
    const std::vector<std::string_view> flags = split_flags(setting.flags);
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) continue;
    return "unknown key '" + std::string(key) + "': the key is '" + std::string(setting.name) + "'";
  }
  return unknown_text("key", key, known);
}

std::string moot_flag_fault(const MootFlag& flag, std::string_view value) {
  if (is_moot(flag.name, value)) return "";
  const std::string shown = std::string(flag.flags.substr(0, flag.flags.find(','))) + " " + std::string(value);
  const auto is_it = [&](const Absent& absent) { return absent.name == flag.name; };
  return absent_text(shown, *std::find_if(std::begin(absent_settings), std::end(absent_settings), is_it));
}

std::string unknown_flag_text(std::string_view flag) {
  for (const Absent& absent : absent_settings) {
    if (has_flag(absent, flag)) return absent_text(flag, absent);
  }
  std::vector<std::string_view> known{"--config", "--check-config", "--print-config", "--version", "--help"};
  std::string name(flag.substr(std::min<std::size_t>(flag.size(), 2)));
  std::replace(name.begin(), name.end(), '-', '_');
  for (const Setting& setting : settings()) {
    if (setting.name == name) {
      return "unknown flag '" + std::string(flag) + "': the flag is '" + std::string(long_flag(setting)) + "'";
    }
    for (const std::string_view each : split_flags(setting.flags)) {
      if (each.starts_with("--")) known.push_back(each);
    }
  }
  return flag.starts_with("--") ? unknown_text("flag", flag, known) : unknown_text("flag", flag, {});
}

}  // namespace narwhal::server
