#include "pages.hpp"

#include <narwhal/files.hpp>
#include <narwhal/url.hpp>

#include <fstream>
#include <iterator>

#include "assets.hpp"

namespace hbnb {
namespace {

using narwhal::HttpError;
using narwhal::Request;
using narwhal::Response;

std::string text_of(const Value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr ? *text : "";
}

// The named columns of a row as members. Rows begin with `names`.
Members members_of(const std::vector<std::string_view>& names, const Row& row) {
  Members members;
  for (std::size_t i = 0; i < names.size(); ++i) members.emplace(names[i], text_of(row.at(i)));
  return members;
}

Data list_of(const std::vector<std::string_view>& names, const std::vector<Row>& rows) {
  std::vector<Data> list;
  list.reserve(rows.size());
  for (const Row& row : rows) list.emplace_back(members_of(names, row));
  return list;
}

}  // namespace

Pages::Pages(Records& records, std::string folder) : records_(records), folder_(std::move(folder)) {
  const auto get = [this](std::string_view name) { return source("templates/" + std::string(name)); };
  for (const char* name : {"hbnb.html", "onepage.html", "number.html", "missing.html"}) {
    templates_.emplace(name, Template(name, get));
  }
}

void Pages::add_to(narwhal::Router& router) {
  router.get("/", [this](const Request& request) { return clone(request); }).name("home");
  router.get("/hbnb", [this](const Request& request) { return clone(request); });
  router.get("/airbnb-onepage", [this](const Request& request) { return onepage(request); });
  router.get("/airbnb-dynamic/number_odd_or_even/<int:n>",
             [this](const Request& request) { return odd_or_even(request); });
  router.get("/static/<path:name>", [this](const Request& request) { return file(request); });
  router.error_page(404, [this](const Request& request) { return page(request, "missing.html", {}); });
}

Response Pages::page(const Request& request, const char* name, Members data) const {
  data["root"] = narwhal::url_for(request, "home");
  data["version"] = folder_.empty() ? std::string(assets_digest()) : "";
  return Response::html(templates_.find(name)->second.render(Data(std::move(data))))
      .header("Content-Security-Policy", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'")
      .header("X-Content-Type-Options", "nosniff")
      .header("Cache-Control", "no-cache");
}

Data Pages::states_with_cities() {
  std::map<std::string, std::vector<Data>> cities_of;
  const auto city_columns = columns_of(cities);
  for (const Row& row : records_.all(cities)) {
    Members city = members_of(city_columns, row);
    cities_of[city["state_id"].text].emplace_back(std::move(city));
  }
  std::vector<Data> list;
  const auto state_columns = columns_of(states);
  for (const Row& row : records_.all(states)) {
    Members state = members_of(state_columns, row);
    state["cities"] = std::move(cities_of[state["id"].text]);
    list.emplace_back(std::move(state));
  }
  return list;
}

Response Pages::clone(const Request& request) {
  Data amenity_list = list_of(columns_of(amenities), records_.all(amenities));
  return page(request, "hbnb.html", {{"states", states_with_cities()}, {"amenities", std::move(amenity_list)}});
}

Response Pages::onepage(const Request& request) {
  auto columns = columns_of(places);
  columns.insert(columns.end(), std::begin(place_extras), std::end(place_extras));
  Data found = list_of(columns, records_.search({.states = "[]", .cities = "[]", .amenities = "[]"}));
  return page(request, "onepage.html", {{"states", states_with_cities()}, {"places", std::move(found)}});
}

Response Pages::odd_or_even(const Request& request) const {
  const auto number = request.parameter<std::int64_t>("n");
  return page(request, "number.html",
              {{"n", std::to_string(number)}, {"kind", std::string(number % 2 == 0 ? "even" : "odd")}});
}

// A name with the version of the files never means other bytes; without it a client has to ask.
Response Pages::file(const Request& request) const {
  const std::string_view name = request.parameter("name");
  if (!folder_.empty()) {
    return narwhal::send_file_below(request, folder_ + "/static", name, {.cache_control = "no-cache"})
        .header("X-Content-Type-Options", "nosniff");
  }
  const Asset* const asset = find_asset("static/" + std::string(name));
  if (asset == nullptr) throw HttpError(404);
  const narwhal::Validators now{.etag = "\"" + std::string(asset->digest) + "\""};
  const int status = narwhal::check_conditions(request, now);
  Response response =
      status != 0 ? Response(status) : Response::bytes(narwhal::forever(asset->bytes), narwhal::mime_type(asset->name));
  const bool versioned = request.query("v") == assets_digest();
  response.header("Cache-Control", versioned ? "public, max-age=31536000, immutable" : "no-cache")
      .header("X-Content-Type-Options", "nosniff");
  return narwhal::with_validators(std::move(response), now);
}

std::string Pages::source(std::string_view name) const {
  if (folder_.empty()) {
    const Asset* const asset = find_asset(name);
    if (asset == nullptr) throw std::invalid_argument("there is no " + std::string(name));
    return std::string(asset->bytes);
  }
  const std::string path = folder_ + "/" + std::string(name);
  std::ifstream file(path);
  if (!file) throw std::invalid_argument("option 'folder': " + path + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace hbnb
