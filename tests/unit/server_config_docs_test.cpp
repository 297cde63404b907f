// The documents about the settings are right: conf/narwhal.yaml and both manual pages are compared with the table.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "server/config/gunicorn_table.hpp"
#include "server/config/load_config.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

std::filesystem::path source_root() {
  const auto is_root = [](const std::filesystem::path& path) { return exists(path / "conf" / "narwhal.yaml"); };
  const std::filesystem::path of_this_file = std::filesystem::path(__FILE__).parent_path() / ".." / "..";
  if (is_root(of_this_file)) return of_this_file;
  std::filesystem::path path = std::filesystem::current_path();  // a build folder
  while (!is_root(path) && path != path.parent_path()) path = path.parent_path();
  REQUIRE(is_root(path));
  return path;
}

std::string source(const std::string& name) {
  std::ifstream file(source_root() / name);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The file without each '#' before a key or a list.
std::string uncommented(const std::string& yaml) {
  std::istringstream lines(yaml);
  std::string result;
  for (std::string line; std::getline(lines, line); result += line + "\n") {
    const bool is_setting =
        line.size() > 1 && line[0] == '#' && ((line[1] >= 'a' && line[1] <= 'z') || line.starts_with("#  "));
    if (is_setting) line.erase(0, 1);
  }
  return result;
}

// The part of a page from `start` to the next entry or section.
std::string entry(const std::string& page, const std::string& start) {
  const std::size_t begin = page.find(start);
  if (begin == std::string::npos) return "";
  const std::size_t next = std::min(page.find("\n.It Ic ", begin + 1), page.find("\n.Ss ", begin + 1));
  return page.substr(begin, next - begin);
}

// "Default: 30." for numbers and words; values that need markup are written differently.
std::string default_words(const Setting& setting) {
  const std::vector<std::string> texts = value_texts(setting, Config{});
  const bool plain =
      texts.size() == 1 && !texts[0].empty() && texts[0] != "-" && texts[0].front() != '/' && texts[0].front() != '%';
  if (plain) return "Default: " + texts[0] + ".";
  return texts.empty() || texts[0].empty() ? "Default: " : "Default:\n";
}

}  // namespace

TEST_CASE("conf/narwhal.yaml: unedited, it changes nothing") {
  Result<Config> config = parse_config(source("conf/narwhal.yaml"), "conf/narwhal.yaml");
  if (!config) FAIL(config.error());
  CHECK(*config == Config{});
}

TEST_CASE("conf/narwhal.yaml: uncommented, it contains every setting with its default") {
  const std::string yaml = uncommented(source("conf/narwhal.yaml"));
  Result<Config> config = parse_config(yaml, "conf/narwhal.yaml");
  if (!config) FAIL(config.error());
  CHECK(config->routes ==
        std::vector<Route>{{"/static", "static", {{"folder", "/srv/shop/static"}, {"max_age", "3600"}}},
                           {"/shop", "./shop.so", {{"currency", "EUR"}}, "", 5s, 2s, {}, TrailingSlash::strict},
                           {"", "./blog.so", {}, "", {}, {}, {"blog.example", "www.blog.example"}},
                           {"", "./hello.so", {{"greeting", "Hello"}}}});
  config->routes.clear();
  CHECK(*config == Config{});
  for (const Setting& setting : settings()) {
    INFO(std::string(setting.name));
    CHECK(yaml.find("\n" + std::string(setting.name) + ":") != std::string::npos);
  }
}

TEST_CASE("settings: every field of Config has one, except those that are computed") {
  // Does not compile if a field is added or removed: then the table needs one line more or less.
  const auto& [bind, protocol, routes, preload_app, reload, reload_engine, reload_extra_files, pythonpath, venv, python,
               has_worker_hooks, has_master_hooks, sources, workers, worker_class, threads, worker_connections,
               queue_size, backlog, max_requests, max_requests_jitter, max_worker_memory, max_worker_lifetime,
               worker_memory_max, canary, reuse_port, daemon, enable_stdio_inheritance, user, group, initgroups, umask,
               chdir, start_directory, raw_env, pidfile, proc_name, control_socket, control_socket_mode, admin_bind,
               stage_dir, allow_new_privileges, keep_capabilities, seccomp, seccomp_file, boot_timeout, header_timeout,
               body_timeout, write_timeout, keepalive, timeout, soft_timeout, graceful_timeout, heartbeat_timeout,
               probation, canary_time, limit_request_line, limit_request_fields, limit_request_field_size,
               limit_request_body, poison_limit, poison_window, min_rate, body_buffer_size, tmp_upload_dir,
               request_buffering, sendfile, response_buffer_size, forwarded_allow_ips, client_header,
               secure_scheme_headers, header_map, forwarder_headers, proxy_protocol, proxy_allow_ips, uwsgi_allow_ips,
               gateway_allow_ips, loglevel, errorlog, accesslog, access_log_format, capture_output, logger_class,
               logconfig, logconfig_json, logconfig_dict, conf_changes_loggers, conf_file, syslog, syslog_addr,
               syslog_prefix, syslog_facility, disable_redirect_access_to_syslog, statsd_host, statsd_prefix,
               dogstatsd_tags, enable_backlog_metric, server_header] = Config{};
  CHECK(settings().size() == 89);
}

TEST_CASE("narwhal(1): has every flag of every setting, its key and its default") {
  const std::string page = source("man/narwhal.1");
  for (const Setting& setting : settings()) {
    const std::string key(setting.name);
    INFO(key);
    const std::size_t end = page.find("\n.Pq " + key + "\n");
    REQUIRE(end != std::string::npos);
    const std::string about = page.substr(page.rfind("\n.It Fl ", end), end - page.rfind("\n.It Fl ", end));
    std::string flags(setting.flags);
    for (std::size_t at; !flags.empty(); flags.erase(0, at == std::string::npos ? at : at + 1)) {
      at = flags.find(',');
      CHECK(about.substr(0, about.find('\n', 1)).find(" " + flags.substr(1, at - 1)) != std::string::npos);
    }
    const std::string words = default_words(setting);
    const bool is_number = words.find_first_of("0123456789") != std::string::npos;
    if (is_number) CHECK(about.find(words) != std::string::npos);
  }
  for (const char* flag : {"-config", "-option", "-check-config", "-print-config", "-debug", "-version", "-help"}) {
    CHECK(page.find(flag) != std::string::npos);
  }
}

TEST_CASE("narwhal.yaml(5): has every key with its default, and the bounds of numbers that have some") {
  const std::string page = source("man/narwhal.yaml.5");
  for (const Setting& setting : settings()) {
    const std::string key(setting.name);
    const std::string about = entry(page, "\n.It Ic " + key + " : Vt ");
    INFO(key);
    CHECK_FALSE(about.empty());
    const std::string words = default_words(setting);
    CHECK(about.find(words) != std::string::npos);
    CHECK((about.find("needs a restart") != std::string::npos) == (setting.change == Setting::Change::restart));
  }
  for (const char* key : {"app", "options", "routes"}) CHECK_FALSE(entry(page, std::string("\n.It Ic ") + key).empty());
}

TEST_CASE("narwhal.yaml(5): the list of what a reload does not apply is the one that a reload reports") {
  const std::string page = source("man/narwhal.yaml.5");
  const std::size_t begin = page.find(".Bl -item -compact\n", page.find("\n.Sh RELOAD\n"));
  REQUIRE(begin != std::string::npos);
  std::string expected = ".Bl -item -compact\n";
  for (const Setting& setting : settings()) {
    if (setting.change == Setting::Change::restart) expected += ".It\n.Ic " + std::string(setting.name) + "\n";
  }
  CHECK(page.substr(begin, page.find(".El\n", begin) - begin) == expected);
}

TEST_CASE("narwhal-wsgi(7): the table of Gunicorn's settings is the one that the program acts by") {
  CHECK(gunicorn_rows().size() == 119);
  const std::string page = source("man/narwhal-wsgi.7");
  const std::size_t begin = page.find(".Bl -tag -width Ds -compact\n.It Ic access_log_format\n");
  REQUIRE(begin != std::string::npos);
  const std::size_t end = page.find(".El\n", begin) + 4;
  INFO("a new one: build/test/server/config/completion_program table");
  CHECK(page.substr(begin, end - begin) == gunicorn_table());
}

TEST_CASE("manual pages: mandoc reports no warnings") {
  if (std::system("command -v mandoc >/dev/null 2>&1") != 0) {
    MESSAGE("mandoc is not installed: skipped");
    return;
  }
  for (const char* page :
       {"man/narwhal.1", "man/narwhal.yaml.5", "man/narwhal-plugin.7", "man/narwhal-static.7", "man/narwhal-wsgi.7"}) {
    INFO(page);
    const std::string path = (source_root() / page).string();
    CHECK(std::system(("mandoc -T lint -W warning '" + path + "'").c_str()) == 0);
  }
}
