#include "records.hpp"

#include <narwhal/http_error.hpp>

#include "values.hpp"

namespace hbnb {
namespace {

std::string selected(const Entity& entity, std::string_view table = "") {
  std::string list;
  for (const std::string_view column : columns_of(entity)) {
    if (!list.empty()) list += ", ";
    if (!table.empty()) list.append(table).append(".");
    list += column;
  }
  return list;
}

std::string select_from(const Entity& entity, const std::string& rest) {
  return "SELECT " + selected(entity) + " FROM " + std::string(entity.table) + rest;
}

std::string parameter(std::size_t number) { return "$" + std::to_string(number); }

// What the client gets in place of a DatabaseError. Only to be called where one is being handled.
[[noreturn]] void fail(const DatabaseError& error) {
  if (error.cause() == DatabaseError::Cause::reference) throw narwhal::HttpError(404);
  if (error.cause() != DatabaseError::Cause::unavailable) throw;
  throw narwhal::HttpError(503, "The database does not answer").header("Retry-After", "1").because(error.what());
}

}  // namespace

std::vector<std::string_view> columns_of(const Entity& entity) {
  std::vector<std::string_view> columns{"id", "created_at", "updated_at"};
  if (!entity.parent_column.empty()) columns.push_back(entity.parent_column);
  for (const Field& field : entity.fields) {
    if (field.kind != Field::Kind::secret) columns.push_back(field.name);
  }
  return columns;
}

Connection& Records::connection() try { return *database_; } catch (const DatabaseError& error) {
  fail(error);
}

std::vector<Row> Records::run(const std::string& sql, const std::vector<Value>& values) {
  Connection& open = connection();
  try {
    return open.run(sql, values);
  } catch (const DatabaseError& error) {
    fail(error);
  }
}

std::vector<Row> Records::all(const Entity& entity) { return run(select_from(entity, " ORDER BY created_at, id")); }

std::vector<Row> Records::below(const Entity& entity, const std::string& parent) {
  const std::string where = " WHERE " + std::string(entity.parent_column) + " = $1";
  return run(select_from(entity, where + " ORDER BY created_at, id"), {parent});
}

std::optional<Row> Records::find(const Entity& entity, const std::string& id) {
  std::vector<Row> rows = run(select_from(entity, " WHERE id = $1"), {id});
  if (rows.empty()) return std::nullopt;
  return std::move(rows[0]);
}

bool Records::exists(std::string_view table, const std::string& id) {
  return !run("SELECT 1 FROM " + std::string(table) + " WHERE id = $1", {id}).empty();
}

Row Records::add(const Entity& entity, const std::string& parent, const Fields& fields) {
  const std::string now = time_now();
  std::vector<Value> values{new_id(), now, now};
  std::string columns = "id, created_at, updated_at", parameters = "$1, $2, $3";
  const auto add_column = [&](std::string_view name, const Value& value) {
    values.push_back(value);
    columns.append(", ").append(name);
    parameters.append(", ").append(parameter(values.size()));
  };
  if (!entity.parent_column.empty()) add_column(entity.parent_column, parent);
  // All of them each time: one statement for each entity is prepared, whatever a client sends.
  for (const Field& field : entity.fields) {
    const auto given = fields.find(field.name);
    const bool number = field.kind == Field::Kind::integer;
    add_column(field.name, given != fields.end() ? given->second : number ? Value(std::int64_t{0}) : Value());
  }
  return run("INSERT INTO " + std::string(entity.table) + " (" + columns + ") VALUES (" + parameters + ") RETURNING " +
                 selected(entity),
             values)
      .at(0);
}

// One statement whatever fields are given: two changes of different fields at the same time both remain.
std::optional<Row> Records::change(const Entity& entity, const std::string& id, const Fields& fields) {
  std::vector<Value> values{id, time_now()};
  std::string sql = "UPDATE " + std::string(entity.table) + " SET updated_at = $2";
  for (const Field& field : entity.fields) {
    if (field.fixed) continue;
    const auto given = fields.find(field.name);
    values.emplace_back(std::int64_t{given != fields.end() ? 1 : 0});
    values.push_back(given != fields.end() ? given->second : Value());
    const std::string name(field.name);
    sql += ", " + name + " = CASE WHEN " + parameter(values.size() - 1) + " = 1 THEN " + parameter(values.size()) +
           " ELSE " + name + " END";
  }
  std::vector<Row> rows = run(sql + " WHERE id = $1 RETURNING " + selected(entity), values);
  if (rows.empty()) return std::nullopt;
  return std::move(rows[0]);
}

bool Records::remove(const Entity& entity, const std::string& id) {
  return !run("DELETE FROM " + std::string(entity.table) + " WHERE id = $1 RETURNING id", {id}).empty();
}

// In one statement, so that the numbers belong to one moment.
std::vector<std::pair<std::string_view, std::int64_t>> Records::counts() {
  std::string sql;
  for (const Entity* entity : entities) {
    sql +=
        (sql.empty() ? "SELECT (SELECT count(*) FROM " : ", (SELECT count(*) FROM ") + std::string(entity->table) + ")";
  }
  const Row row = run(sql).at(0);
  std::vector<std::pair<std::string_view, std::int64_t>> counts;
  for (std::size_t i = 0; i < std::size(entities); ++i) {
    counts.emplace_back(entities[i]->table, std::get<std::int64_t>(row[i]));
  }
  return counts;
}

std::vector<Row> Records::amenities_of(const std::string& place) {
  return run("SELECT " + selected(amenities, "amenities") +
                 " FROM amenities JOIN place_amenity ON amenity_id = id WHERE place_id = $1 ORDER BY name, id",
             {place});
}

bool Records::link(const std::string& place, const std::string& amenity) {
  return !run("INSERT INTO place_amenity (place_id, amenity_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING "
              "place_id",
              {place, amenity})
              .empty();
}

bool Records::unlink(const std::string& place, const std::string& amenity) {
  return !run("DELETE FROM place_amenity WHERE place_id = $1 AND amenity_id = $2 RETURNING place_id", {place, amenity})
              .empty();
}

std::vector<Row> Records::search(const Search& search) {
  const Connection& open = connection();
  const std::string sql = "SELECT " + selected(places, "places") +
                          ", cities.name, states.name, trim(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))"
                          ", (SELECT count(*) FROM reviews WHERE place_id = places.id)"
                          " FROM places JOIN cities ON cities.id = city_id JOIN states ON states.id = state_id JOIN "
                          "users ON users.id = user_id"
                          " WHERE ($1 = 1 OR state_id IN (" +
                          open.texts_of(2) + ") OR city_id IN (" + open.texts_of(3) +
                          "))"
                          " AND (SELECT count(*) FROM place_amenity WHERE place_id = places.id AND amenity_id IN (" +
                          open.texts_of(4) + ")) = $5 ORDER BY places.name, places.id";
  return run(sql, {std::int64_t{search.everywhere ? 1 : 0}, search.states, search.cities, search.amenities,
                   static_cast<std::int64_t>(search.wanted_amenities)});
}

}  // namespace hbnb
