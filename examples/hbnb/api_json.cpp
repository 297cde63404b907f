#include "api_json.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "values.hpp"

namespace hbnb {
namespace {

using narwhal::HttpError;
using nlohmann::json;

HttpError bad(const Field& field, const std::string& rest) {
  return {400, std::string(field.name) + " must be " + rest};
}

std::size_t characters_of(std::string_view utf8) {
  std::size_t count = 0;
  for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return count;
}

std::string text_of(const Field& field, const json& value) {
  if (!value.is_string()) throw bad(field, "a string");
  auto text = value.get<std::string>();
  if (text.find('\0') != text.npos) throw bad(field, "a string without NUL");
  if (characters_of(text) > field.most) {
    throw bad(field, "a string of at most " + std::to_string(field.most) + " characters");
  }
  if (text.empty() && field.required) throw HttpError(400, "Missing " + std::string(field.name));
  return text;
}

Value number_of(const Field& field, const json& value) {
  if (field.kind == Field::Kind::real) {
    if (value.is_null()) return {};
    if (!value.is_number()) throw bad(field, "a number or null");
    return value.get<double>();
  }
  constexpr auto most = std::numeric_limits<std::int32_t>::max();
  // Signed only when it is negative.
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
    throw bad(field, "an integer from 0 to " + std::to_string(most));
  }
  return value.get<std::int64_t>();
}

Value value_of(const Field& field, const json& value) {
  switch (field.kind) {
    case Field::Kind::integer:
    case Field::Kind::real: return number_of(field, value);
    case Field::Kind::secret: return hash_password(text_of(field, value));
    case Field::Kind::text:
    case Field::Kind::user: break;
  }
  if (value.is_null() && !field.required) return {};
  return text_of(field, value);
}

json json_of(const Value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return nullptr;
}

// The ids in a member of a search, each once; a search for the same amenity twice is one for it.
std::set<std::string> ids_in(const json& object, const char* name) {
  std::set<std::string> ids;
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return ids;
  const auto is_id = [](const json& id) {
    return id.is_string() && id.get_ref<const std::string&>().find('\0') == std::string::npos;
  };
  if (!found->is_array() || !std::all_of(found->begin(), found->end(), is_id)) {
    throw HttpError(400, std::string(name) + " must be a list of ids");
  }
  for (const json& id : *found) ids.insert(id.get<std::string>());
  return ids;
}

}  // namespace

json object_of(const narwhal::Request& request) {
  try {
    json value = narwhal::json_body(request);
    if (value.is_object()) return value;
  } catch (const HttpError& error) {
    if (error.status() != 400 && error.status() != 415) throw;
  }
  throw HttpError(400, "Not a JSON");
}

Fields fields_of(const Entity& entity, const json& object, Purpose purpose) {
  Fields fields;
  const Field* secret = nullptr;
  for (const Field& field : entity.fields) {
    if (purpose == Purpose::change && field.fixed) continue;
    const auto given = object.find(field.name);
    if (given != object.end() && field.kind == Field::Kind::secret) {
      (void)text_of(field, *given);
      secret = &field;
    } else if (given != object.end()) {
      fields[field.name] = value_of(field, *given);
    } else if (field.required && purpose == Purpose::add) {
      throw HttpError(400, "Missing " + std::string(field.name));
    }
  }
  // Last, because it is work: nobody shall have it done for a request that is refused.
  if (secret != nullptr) fields[secret->name] = value_of(*secret, *object.find(secret->name));
  return fields;
}

std::string reference_in(const json& object, const Field& field) {
  const auto given = object.find(field.name);
  if (given == object.end()) throw HttpError(400, "Missing " + std::string(field.name));
  return text_of(field, *given);
}

Search search_of(const json& object) {
  const auto states = ids_in(object, "states"), cities = ids_in(object, "cities"),
             amenities = ids_in(object, "amenities");
  return {.states = json(states).dump(),
          .cities = json(cities).dump(),
          .amenities = json(amenities).dump(),
          .wanted_amenities = amenities.size(),
          .everywhere = states.empty() && cities.empty()};
}

json json_of(const Entity& entity, const Row& row) {
  json object{{"__class__", entity.type}};
  const std::vector<std::string_view> columns = columns_of(entity);
  for (std::size_t i = 0; i < columns.size(); ++i) object[std::string(columns[i])] = json_of(row.at(i));
  for (const Field& field : entity.fields) {  // SQLite's RETURNING gives the whole numbers among reals as integers
    if (field.kind != Field::Kind::real) continue;
    json& value = object[std::string(field.name)];
    if (value.is_number_integer()) value = value.get<double>();
  }
  return object;
}

json json_of(const Entity& entity, const std::vector<Row>& rows) {
  json list = json::array();
  for (const Row& row : rows) list.push_back(json_of(entity, row));
  return list;
}

json json_of_places(const std::vector<Row>& rows) {
  json list = json::array();
  const std::size_t first = columns_of(places).size();
  for (const Row& row : rows) {
    json place = json_of(places, row);
    for (std::size_t i = 0; i < std::size(place_extras); ++i) {
      place[std::string(place_extras[i])] = json_of(row.at(first + i));
    }
    list.push_back(std::move(place));
  }
  return list;
}

}  // namespace hbnb
