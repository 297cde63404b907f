// Python applications: the options of their plugin, and their name.
#include "server/config/python_app.hpp"
#include "server/config/settings_json.hpp"

#include <doctest/doctest.h>

#include "core/app_title.hpp"

using namespace narwhal;
using namespace narwhal::server;

TEST_CASE("python app: its plugin gets the app, and the settings for Python") {
  Config config;
  const Route bare{"", "web:app", {}, "/lib/wsgi.so"};
  CHECK(python_options(config, bare) == Options{{"app", "web:app"}, {"preload", "false"}});
  config.venv = "/srv/venv";
  config.pythonpath = {"/a", "/b"};
  config.conf_file = "/srv/gunicorn.conf.py";
  CHECK(python_options(config, bare) == Options{{"app", "web:app"},
                                                {"venv", "/srv/venv"},
                                                {"pythonpath", "/a,/b"},
                                                {"hooks", "/srv/gunicorn.conf.py"},
                                                {"hooks_required", "false"},
                                                {"settings", settings_json(config)},
                                                {"preload", "false"}});
  config.has_worker_hooks = true;
  config.preload_app = true;
  CHECK(python_options(config, bare) == Options{{"app", "web:app"},
                                                {"venv", "/srv/venv"},
                                                {"pythonpath", "/a,/b"},
                                                {"hooks", "/srv/gunicorn.conf.py"},
                                                {"settings", settings_json(config)}});
}

TEST_CASE("python app: its plugin gets request_buffering only if it is off, and a route may override it") {
  Config config;
  config.request_buffering = false;
  CHECK(python_options(config, {"", "web:app", {}, "/lib/wsgi.so"}) ==
        Options{{"app", "web:app"}, {"preload", "false"}, {"request_buffering", "false"}});
  const Options own{{"request_buffering", "true"}};
  CHECK(python_options(config, {"", "web:app", own, "/lib/wsgi.so"}) ==
        Options{{"app", "web:app"}, {"preload", "false"}, {"request_buffering", "true"}});
}

TEST_CASE("python app: its plugin gets the log level only if it is not the default") {
  Config config;
  for (const auto& [level, name] : {std::pair{LogLevel::debug, "debug"},
                                    {LogLevel::warning, "warning"},
                                    {LogLevel::error, "error"},
                                    {LogLevel::critical, "critical"}}) {
    config.loglevel = level;
    CHECK(python_options(config, {"", "web:app", {}, "/lib/wsgi.so"}) ==
          Options{{"app", "web:app"}, {"preload", "false"}, {"loglevel", name}});
  }
}

TEST_CASE("python app: a route's own options win over the settings, and its plugin gets all of them") {
  Config config;
  config.venv = "/srv/venv";
  config.pythonpath = {"/a"};
  const Route route{"/x", "web:app", {{"venv", "/other"}, {"colour", "red"}}, "/lib/wsgi.so"};
  CHECK(python_options(config, route) ==
        Options{{"app", "web:app"}, {"pythonpath", "/a"}, {"preload", "false"}, {"venv", "/other"}, {"colour", "red"}});
}

TEST_CASE("python app: process titles show it as it is written, and a plugin without its folder and suffix") {
  const auto title = [](const Route& route) {
    Config config;
    config.routes = {route};
    return app_title(config);
  };
  CHECK(title({"", "shop:create_app('/etc/shop.so')", {}, "/lib/wsgi.so"}) == "shop:create_app('/etc/shop.so')");
  CHECK(title({"", "shop", {}, "/lib/wsgi.so"}) == "shop");
  CHECK(title({"", "/srv/shop.so", {}, ""}) == "shop");
}
