// Which mount a request reaches by its host and its path.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "worker/mounts.hpp"

using namespace narwhal;
using worker::Mount;
using worker::Mounts;

namespace {

struct Place {
  std::string prefix;
  std::vector<std::string> hosts{};
};

Mounts mounts_at(const std::vector<Place>& places) {
  std::vector<std::unique_ptr<Mount>> mounts;
  for (const Place& place : places) {
    auto mount = std::make_unique<Mount>();
    mount->prefix = place.prefix;
    mount->hosts = place.hosts;
    mounts.push_back(std::move(mount));
  }
  return {std::move(mounts), Config{}};
}

// The name of the route, "" for none.
std::string found(const Mounts& mounts, std::string_view authority, std::string_view path) {
  const Mount* const mount = mounts.route(authority, path);
  return mount == nullptr ? "" : route_name(mount->prefix, mount->hosts);
}

}  // namespace

TEST_CASE("mounts: without hosts in any route the authority does not count") {
  const Mounts mounts = mounts_at({{""}, {"/shop"}, {"/shop/cart"}});
  for (const char* authority : {"", "any.example", "[::1]:80"}) {
    CHECK(found(mounts, authority, "/") == "/");
    CHECK(found(mounts, authority, "/shop/cart/1") == "/shop/cart");
  }
  CHECK(found(mounts_at({{"/shop"}}), "shop.example", "/").empty());
}

TEST_CASE("mounts: a name, then the longest wildcard, then those without hosts") {
  const Mounts mounts = mounts_at(
      {{""}, {"", {"*.example"}}, {"", {"shop.example"}}, {"", {"*.shop.example"}}, {"", {"a.b.shop.example"}}});
  CHECK(found(mounts, "shop.example", "/") == "shop.example/");
  CHECK(found(mounts, "SHOP.example.:8080", "/") == "shop.example/");
  CHECK(found(mounts, "blog.example", "/") == "*.example/");
  CHECK(found(mounts, "www.blog.example", "/") == "*.example/");
  CHECK(found(mounts, "www.shop.example", "/") == "*.shop.example/");
  CHECK(found(mounts, "b.shop.example", "/") == "*.shop.example/");
  CHECK(found(mounts, "a.b.shop.example", "/") == "a.b.shop.example/");
  CHECK(found(mounts, "x.a.b.shop.example", "/") == "*.shop.example/");
}

TEST_CASE("mounts: a wildcard wants something before its dot") {
  const Mounts mounts = mounts_at({{""}, {"", {"*.example"}}});
  for (const char* authority : {"example", ".example", "notexample", "example.other", "", "[::1]", ":80"})
    CHECK(found(mounts, authority, "/") == "/");
}

TEST_CASE("mounts: in a host the longest prefix wins, and other hosts' mounts are not there") {
  const Mounts mounts =
      mounts_at({{""}, {"/admin"}, {"/cart", {"shop.example"}}, {"/cart/new", {"shop.example", "other.example"}}});
  CHECK(found(mounts, "shop.example", "/cart/new/1") == "shop.example/cart/new");
  CHECK(found(mounts, "shop.example", "/cart/1") == "shop.example/cart");
  CHECK(found(mounts, "other.example", "/cart/new") == "shop.example/cart/new");
  for (const char* path : {"/", "/admin", "/carts", "*"}) CHECK(found(mounts, "shop.example", path).empty());
  CHECK(found(mounts, "other.example", "/cart").empty());
  CHECK(found(mounts, "third.example", "/cart/new") == "/");
  CHECK(found(mounts, "third.example", "/admin/x") == "/admin");
}

TEST_CASE("mounts: an IPv6 address is one host, however it is spelled") {
  const Mounts mounts = mounts_at({{"", {"[::1]"}}});
  CHECK(found(mounts, "[0:0:0::1]:8000", "/") == "[::1]/");
  CHECK(found(mounts, "[::2]", "/").empty());
  CHECK(found(mounts, "127.0.0.1", "/").empty());
}

TEST_CASE("mounts: a name that is too long is none, whatever it ends in") {
  const Mounts mounts = mounts_at({{"", {"*.example"}}});
  CHECK(found(mounts, std::string(245, 'a') + ".example", "/") == "*.example/");
  CHECK(found(mounts, std::string(246, 'a') + ".example", "/").empty());
  CHECK(found(mounts, std::string(100000, 'a') + ".example", "/").empty());
}

TEST_CASE("sites: a path with a dot segment is below no prefix but the root's") {
  const Mounts both = mounts_at({{""}, {"/api"}}), only_api = mounts_at({{"/api"}});
  const Mounts of_host = mounts_at({{"", {"a.example"}}, {"/api", {"a.example"}}});
  for (const char* path :
       {"/api/../x", "/api/..", "/api/./x", "/api/%2e%2E/x", "/api%2F..%2fx", "/api/.%2e", "/x/../api", "/./api"}) {
    CAPTURE(path);
    CHECK(both.route("", path)->prefix.empty());
    CHECK(of_host.route("a.example", path)->prefix.empty());
    CHECK(only_api.route("", path) == nullptr);
  }
  for (const char* path : {"/api/..x", "/api/x..", "/api/...", "/api/.x", "/api/x.", "/api/%2e%2e%2e", "/api/a..b/"}) {
    CAPTURE(path);
    CHECK(both.route("", path)->prefix == "/api");
  }
}
