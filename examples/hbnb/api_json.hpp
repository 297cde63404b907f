// Between JSON and records: what a client sends, checked, and what it gets.
// Errors     HttpError 400 with the exercise's texts.
// Threads    any.
#pragma once

#include <narwhal/json.hpp>

#include "records.hpp"

namespace hbnb {

// The body as an object. HttpError 400 "Not a JSON", also for another type of body or another kind of JSON.
nlohmann::json object_of(const narwhal::Request& request);
// The members that are fields of `entity`. When a record is made, the required ones must be there: "Missing name". In a
// change, fixed ones are left out. Passwords become hashes.
enum class Purpose { add, change };
Fields fields_of(const Entity& entity, const nlohmann::json& object, Purpose purpose);
// "Missing user_id", "user_id must be ...": the text of a field that names another record.
std::string reference_in(const nlohmann::json& object, const Field& field);
Search search_of(const nlohmann::json& object);

nlohmann::json json_of(const Entity& entity, const Row& row);
nlohmann::json json_of(const Entity& entity, const std::vector<Row>& rows);
nlohmann::json json_of_places(const std::vector<Row>& rows);  // of Records::search(), with place_extras

}  // namespace hbnb
