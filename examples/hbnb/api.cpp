#include "api.hpp"

#include <narwhal/url.hpp>

#include "api_json.hpp"

namespace hbnb {
namespace {

using narwhal::HttpError;
using narwhal::json_response;
using narwhal::Request;
using narwhal::Response;

// An id in the path. What cannot be one is not looked for: PostgreSQL takes neither a NUL nor bytes that are not UTF-8.
std::string parameter(const Request& request, std::string_view name) {
  const std::string_view id = request.parameter(name);
  for (const char c : id) {
    const bool known = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    if (!known) throw HttpError(404);
  }
  return std::string(id);
}

Response empty_object() { return json_response(nlohmann::json::object()); }

Response list(Records& records, const Entity& entity, const Request& request) {
  if (entity.parent.empty()) return json_response(json_of(entity, records.all(entity)));
  const std::string parent = parameter(request, "parent");
  if (!records.exists(entity.parent, parent)) throw HttpError(404);
  return json_response(json_of(entity, records.below(entity, parent)));
}

Response show(Records& records, const Entity& entity, const Request& request) {
  const std::optional<Row> row = records.find(entity, parameter(request, "id"));
  if (!row) throw HttpError(404);
  return json_response(json_of(entity, *row));
}

// The order of the checks is the exercise's: the parent, the JSON, the user, the other fields.
Response add(Records& records, const Entity& entity, const Request& request) {
  const std::string parent = entity.parent.empty() ? "" : parameter(request, "parent");
  if (!entity.parent.empty() && !records.exists(entity.parent, parent)) throw HttpError(404);
  const nlohmann::json object = object_of(request);
  for (const Field& field : entity.fields) {
    if (field.kind == Field::Kind::user && !records.exists("users", reference_in(object, field))) throw HttpError(404);
  }
  const Row row = records.add(entity, parent, fields_of(entity, object, Purpose::add));
  const std::string name = "api." + std::string(entity.table);
  return json_response(json_of(entity, row), 201)
      .header("Location", narwhal::url_for(request, name, {{"id", std::get<std::string>(row[0])}}));
}

Response change(Records& records, const Entity& entity, const Request& request) {
  const std::string id = parameter(request, "id");
  if (!records.exists(entity.table, id)) throw HttpError(404);
  const std::optional<Row> row = records.change(entity, id, fields_of(entity, object_of(request), Purpose::change));
  if (!row) throw HttpError(404);
  return json_response(json_of(entity, *row));
}

Response remove(Records& records, const Entity& entity, const Request& request) {
  if (!records.remove(entity, parameter(request, "id"))) throw HttpError(404);
  return empty_object();
}

void add_routes(narwhal::Router& api, Records& records, const Entity& entity) {
  const std::string table(entity.table);
  const std::string all = entity.parent.empty() ? "/" + table : "/" + std::string(entity.parent) + "/<parent>/" + table;
  const std::string one = "/" + table + "/<id>";
  api.get(all, [&](const Request& request) { return list(records, entity, request); });
  api.post(all, [&](const Request& request) { return add(records, entity, request); });
  api.get(one, [&](const Request& request) { return show(records, entity, request); }).name(table);
  api.put(one, [&](const Request& request) { return change(records, entity, request); });
  api.del(one, [&](const Request& request) { return remove(records, entity, request); });
}

void add_place_amenities(narwhal::Router& api, Records& records) {
  const std::string all = "/places/<place>/amenities", one = all + "/<amenity>";
  api.get(all, [&](const Request& request) {
    const std::string place = parameter(request, "place");
    if (!records.exists("places", place)) throw HttpError(404);
    return json_response(json_of(amenities, records.amenities_of(place)));
  });
  api.post(one, [&](const Request& request) {
    const std::string place = parameter(request, "place");
    const std::optional<Row> amenity = records.find(amenities, parameter(request, "amenity"));
    if (!amenity || !records.exists("places", place)) throw HttpError(404);
    const bool linked = records.link(place, parameter(request, "amenity"));
    return json_response(json_of(amenities, *amenity), linked ? 201 : 200);
  });
  api.del(one, [&](const Request& request) {
    if (!records.unlink(parameter(request, "place"), parameter(request, "amenity"))) throw HttpError(404);
    return empty_object();
  });
}

Response counts(Records& records) {
  nlohmann::json numbers;
  for (const auto& [table, number] : records.counts()) numbers[std::string(table)] = number;
  return json_response(numbers);
}

}  // namespace

narwhal::Router make_api(Records& records) {
  narwhal::Router api;
  api.strict_slashes(false);
  api.get("/status", [](const Request&) { return json_response({{"status", "OK"}}); });
  api.get("/stats", [&](const Request&) { return counts(records); });
  for (const Entity* entity : entities) add_routes(api, records, *entity);
  add_place_amenities(api, records);
  api.post("/places_search", [&](const Request& request) {
    return json_response(json_of_places(records.search(search_of(object_of(request)))));
  });
  api.on_error([](const Request&, const HttpError& error) {
    return json_response({{"error", error.status() == 404 ? "Not found" : error.text()}}, error.status());
  });
  return api;
}

}  // namespace hbnb
