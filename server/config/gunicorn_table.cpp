#include "server/config/gunicorn_table.hpp"

#include <algorithm>
#include <utility>

#include "server/config/gunicorn_file.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

constexpr std::string_view beside_master = "Same; it runs in a process beside the master, which does not wait for it.";
constexpr std::string_view before_master = "Same; it runs in a process beside the master, which waits for it.";

// Where ours is better, or differs on purpose.
constexpr std::pair<std::string_view, std::string_view> remarks[] = {
    {"access_log_format", "Same; \"json\" writes JSON, and an atom that is none is named in the log."},
    {"bind", "Same; options may follow: unix:/run/shop.sock?mode=0660&group=www-data."},
    {"capture_output", "Same; also what native plugins print."},
    {"chdir", "Same; a symbolic link in it is resolved again at each reload."},
    {"control_socket", "Same, for narwhalctl; without it there is none."},
    {"daemon", "Better: it returns when the server serves, or with its exit code and messages."},
    {"forwarded_allow_ips", "Same; ranges such as 10.0.0.0/8 too."},
    {"graceful_timeout", "Same; it also limits a reload and a replacement."},
    {"keepalive", "Better: 75 by default, longer than a proxy in front keeps its connections."},
    {"limit_request_field_size", "Same; the flag may also be written with hyphens alone."},
    {"logconfig", "Same; applied in a process for the logs and in each worker."},
    {"logconfig_json", "Same, but a file that there is not is a mistake."},
    {"logger_class", "Same, in a process for the logs; narwhal.yaml(5) says what it gets."},
    {"loglevel", "Same, but an unknown word is a mistake."},
    {"pidfile", "Better: it is locked, so one that a killed server left does no harm."},
    {"preload_app", "Better: a reload loads the new code."},
    {"protocol", "Better: also fastcgi and scgi, and each address of bind may name its own."},
    {"reload", "Better: code that cannot be loaded leaves the old code in service."},
    {"reload_engine", "Better: inotify needs no package."},
    {"reuse_port", "Better: the sockets are shared, so a reload resets no connection."},
    {"secure_scheme_headers", "Same; there is also a flag."},
    {"sendfile", "Same, but True means on."},
    {"timeout", "Better: it limits one request in its handler, which is answered 504; silence is heartbeat_timeout."},
    {"tmp_upload_dir", "Better: it is used, and there is also a flag."},
    {"umask", "Same; for Unix sockets only."},
    {"uwsgi_allow_ips", "Same; ranges such as 10.0.0.0/8 too."},
    {"worker_class",
     "One kind of worker: gevent, eventlet and tornado are served by threads; classes for ASGI are refused."},
    {"worker_connections", "Better: 10000 by default, and it holds for every worker."},
    {"workers", "Same, at most 500."},
    {"on_starting", before_master},
    {"when_ready", before_master},
    {"on_exit", before_master},
    {"on_reload", beside_master},
    {"pre_fork", beside_master},
    {"child_exit", beside_master},
    {"nworkers_changed", beside_master},
    {"post_fork", "Same, with the user of the workers."},
    {"worker_exit", "Same, but not after a handler that never returned."},
    {"worker_int", "Same; after a quick stop, when the handlers have returned."},
    {"pre_exec", "At an upgrade (USR2); it runs in a process beside the master."},
    {"ssl_context", "Not run, and the log says so: use a proxy in front of it for TLS."},
    {"on_dirty_starting", "Not run, and the log says so."},
    {"dirty_post_fork", "Not run, and the log says so."},
    {"dirty_worker_init", "Not run, and the log says so."},
    {"dirty_worker_exit", "Not run, and the log says so."},
};

std::string remark_on(std::string_view name) {
  const auto found =
      std::find_if(std::begin(remarks), std::end(remarks), [&](const auto& remark) { return remark.first == name; });
  return found == std::end(remarks) ? "Same." : std::string(found->second);
}

std::string meaning_of(const GunicornSetting& setting) {
  using enum GunicornSetting::Other;
  const std::string why = setting.reason.empty() ? "" : ": " + std::string(setting.reason);
  switch (setting.other) {
    case moot: return "Changes nothing" + why + ".";
    case ignored: return "No effect, and the log says so" + why + ".";
    case later: return "Not yet: no effect, and the log says so" + why + ".";
    case refused: return "Refused" + why + ".";
    case missing: return "Not yet: refused" + why + ".";
    case hook: break;
  }
  return remark_on(setting.name);
}

}  // namespace

std::vector<GunicornRow> gunicorn_rows() {
  std::vector<GunicornRow> rows{{"wsgi_app", "Same."}};
  for (const Setting& setting : settings()) {
    if (!is_only_ours(setting.name)) rows.push_back({std::string(setting.name), remark_on(setting.name)});
  }
  for (const GunicornSetting& setting : gunicorn_settings()) {
    // These three are flags with another meaning than a key would have.
    if (setting.name == "logconfig_dict") {
      rows.push_back({std::string(setting.name), "Same, in a gunicorn.conf.py."});
      continue;
    }
    const bool is_flag = setting.name == "config" || setting.name == "check_config" || setting.name == "print_config";
    rows.push_back({std::string(setting.name), is_flag ? "Same, as a flag." : meaning_of(setting)});
  }
  std::sort(rows.begin(), rows.end(), [](const auto& left, const auto& right) { return left.name < right.name; });
  return rows;
}

std::string gunicorn_table() {
  std::string text = ".Bl -tag -width Ds -compact\n";
  for (const GunicornRow& row : gunicorn_rows()) {
    text += ".It Ic " + row.name + "\n";
    std::string line;  // of at most 80 characters
    for (std::size_t at = 0; at < row.meaning.size();) {
      const std::size_t end = std::min(row.meaning.find(' ', at), row.meaning.size());
      const std::string word = row.meaning.substr(at, end - at);
      if (!line.empty() && line.size() + 1 + word.size() > 80) text += std::exchange(line, "") + "\n";
      line += (line.empty() ? "" : " ") + word;
      at = end + 1;
    }
    text += line + "\n";
  }
  return text + ".El\n";
}

}  // namespace narwhal::server
