#include "server/config/gunicorn_settings.hpp"

#include <algorithm>
#include <array>

namespace narwhal::server {
namespace {

using enum GunicornSetting::Takes;
using enum GunicornSetting::Other;

constexpr std::string_view for_asgi = "it is for ASGI applications, and narwhal runs WSGI ones";
constexpr std::string_view conf_or_json = "write it in a gunicorn.conf.py, or name a file in JSON as 'logconfig_json'";
constexpr std::string_view ambiguous = "it would accept ambiguous requests";
constexpr std::string_view tls_by_proxy = "use a proxy in front of it for TLS";
constexpr std::string_view flag_only = "it is a flag of the command line";
constexpr std::string_view hooks_are_functions = "hooks are functions; write them in a gunicorn.conf.py or in a plugin";
constexpr std::string_view with_http2 = "it needs HTTP/2";
constexpr std::string_view with_dirty = "it needs 'dirty_apps'";
constexpr std::string_view with_tls = "it needs 'certfile'";

// Those of Gunicorn 26.
constexpr GunicornSetting setting_table[] = {
    {"config", "", value, ignored, flag_only},
    {"check_config", "", nothing, refused, flag_only},
    {"print_config", "", nothing, refused, flag_only},
    {"asgi_loop", "--asgi-loop", value, moot, for_asgi},
    {"asgi_lifespan", "--asgi-lifespan", value, moot, for_asgi},
    {"asgi_disconnect_grace_period", "--asgi-disconnect-grace-period", value, moot, for_asgi},
    {"http_parser", "--http-parser", value, moot, "there is only one parser"},
    {"spew", "--spew", nothing, ignored, "it does not trace Python code"},
    {"worker_tmp_dir", "--worker-tmp-dir", value, moot, "the heartbeat does not use a file"},
    {"paste", "--paste,--paster", value, refused, "name the application as module:callable"},
    {"raw_paste_global_conf", "--paste-global", value, refused, "name the application as module:callable"},
    {"permit_obsolete_folding", "--permit-obsolete-folding", nothing, ignored, ambiguous},
    {"strip_header_spaces", "--strip-header-spaces", nothing, ignored, ambiguous},
    {"permit_unconventional_http_method", "--permit-unconventional-http-method", nothing, ignored, ambiguous},
    {"permit_unconventional_http_version", "--permit-unconventional-http-version", nothing, ignored, ambiguous},
    {"casefold_http_method", "--casefold-http-method", nothing, ignored, ambiguous},
    {"root_path", "--root-path", value, ignored,
     "it is for ASGI applications: set SCRIPT_NAME or the prefix of a route"},
    {"logconfig_dict", "", value, refused, conf_or_json},
    {"default_proc_name", "", value, ignored, "set 'proc_name'", "gunicorn"},
    {"keyfile", "--keyfile", value, missing, tls_by_proxy},
    {"certfile", "--certfile", value, missing, tls_by_proxy},
    {"ssl_version", "--ssl-version", value, moot, "it does nothing in Gunicorn either"},
    {"cert_reqs", "--cert-reqs", value, missing, tls_by_proxy},
    {"ca_certs", "--ca-certs", value, missing, tls_by_proxy},
    {"suppress_ragged_eofs", "--suppress-ragged-eofs", nothing, moot, with_tls},
    {"do_handshake_on_connect", "--do-handshake-on-connect", nothing, moot, with_tls},
    {"ciphers", "--ciphers", value, moot, with_tls},
    {"http_protocols", "--http-protocols", value, ignored, "it serves HTTP/1.1", "h1"},
    {"http2_cleartext", "--http2-cleartext", value, ignored, "it serves HTTP/1.1"},
    {"http2_max_concurrent_streams", "--http2-max-concurrent-streams", value, moot, with_http2},
    {"http2_initial_window_size", "--http2-initial-window-size", value, moot, with_http2},
    {"http2_max_frame_size", "--http2-max-frame-size", value, moot, with_http2},
    {"http2_max_header_list_size", "--http2-max-header-list-size", value, moot, with_http2},
    {"dirty_apps", "--dirty-app", value, missing, ""},
    {"dirty_workers", "--dirty-workers", value, moot, with_dirty},
    {"dirty_timeout", "--dirty-timeout", value, moot, with_dirty},
    {"dirty_threads", "--dirty-threads", value, moot, with_dirty},
    {"dirty_graceful_timeout", "--dirty-graceful-timeout", value, moot, with_dirty},
    {"control_socket_disable", "--no-control-socket", nothing, moot, "without 'control_socket' there is none"},
    {"on_starting", "", value, hook, hooks_are_functions},
    {"on_reload", "", value, hook, hooks_are_functions},
    {"when_ready", "", value, hook, hooks_are_functions},
    {"pre_fork", "", value, hook, hooks_are_functions},
    {"post_fork", "", value, hook, hooks_are_functions},
    {"post_worker_init", "", value, hook, hooks_are_functions},
    {"worker_int", "", value, hook, hooks_are_functions},
    {"worker_abort", "", value, hook, hooks_are_functions},
    {"pre_exec", "", value, hook, hooks_are_functions},
    {"pre_request", "", value, hook, hooks_are_functions},
    {"post_request", "", value, hook, hooks_are_functions},
    {"child_exit", "", value, hook, hooks_are_functions},
    {"worker_exit", "", value, hook, hooks_are_functions},
    {"nworkers_changed", "", value, hook, hooks_are_functions},
    {"on_exit", "", value, hook, hooks_are_functions},
    {"ssl_context", "", value, hook, hooks_are_functions},
    {"on_dirty_starting", "", value, hook, hooks_are_functions},
    {"dirty_post_fork", "", value, hook, hooks_are_functions},
    {"dirty_worker_init", "", value, hook, hooks_are_functions},
    {"dirty_worker_exit", "", value, hook, hooks_are_functions},
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

bool holds_word(std::string_view words, std::string_view word) {
  return !word.empty() && (" " + std::string(words) + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

std::string lack_text(const GunicornSetting& setting, std::string_view shown) {
  const bool may_come = setting.other == later || setting.other == missing;
  std::string text = "'" + std::string(shown) + "' is a setting of Gunicorn that ";
  text += may_come ? "this version of narwhal does not have yet" : "narwhal does not have";
  return text + (setting.reason.empty() ? "" : ": " + std::string(setting.reason));
}

}  // namespace

std::span<const GunicornSetting> gunicorn_settings() { return setting_table; }

const GunicornSetting* find_gunicorn_setting(std::string_view name) {
  const auto found = std::find_if(std::begin(setting_table), std::end(setting_table),
                                  [name](const GunicornSetting& setting) { return setting.name == name; });
  return found == std::end(setting_table) ? nullptr : found;
}

bool means_yes(std::string_view value) { return holds_word("y 1 yes true", lower(value)); }

bool means_no(std::string_view value) {
  static constexpr std::array<std::string_view, 10> words{"",    "0",    "0.0",  "false", "no",
                                                          "off", "none", "null", "~",     "n"};
  return std::find(words.begin(), words.end(), lower(value)) != words.end();
}

Judgement judge(const GunicornSetting& setting, std::string_view shown, std::string_view value) {
  const bool changes_nothing = setting.other == moot || means_no(value) || holds_word(setting.harmless, value);
  if (changes_nothing && setting.other != hook) return {};
  const std::string text = lack_text(setting, shown);
  if (setting.other == ignored || setting.other == later) return {"", text + "; it has no effect"};
  return {text, ""};
}

}  // namespace narwhal::server
