// The records of the clone in a database: what the API and the pages need, and no SQL outside.
// Ownership  Records refer to a Database, which must outlive them. Rows are copies.
// Errors     HttpError 404 for a reference to a record that has been deleted meanwhile; 503 when the database is not
//            reachable or too busy; a DatabaseError for anything else. A write that has returned is durable.
// Threads    any: each has its own connection.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "database.hpp"
#include "entities.hpp"

namespace hbnb {

// Values for fields of an entity. A field that is not there keeps its value, or its default.
using Fields = std::map<std::string_view, Value>;

struct Search {
  std::string states, cities, amenities;  // JSON arrays of ids
  std::size_t wanted_amenities = 0;       // how many different ones
  bool everywhere = true;                 // no states and no cities: all places
};

// The columns that are shown, in the order of every Row: id, created_at, updated_at, the parent, the fields.
std::vector<std::string_view> columns_of(const Entity& entity);
// What search() adds: the names of city and state, the owner's name, how many reviews there are.
inline constexpr std::string_view place_extras[] = {"city", "state", "owner", "reviews"};

class Records {
 public:
  explicit Records(Database& database) : database_(database) {}

  std::vector<Row> all(const Entity& entity);
  std::vector<Row> below(const Entity& entity, const std::string& parent);
  std::optional<Row> find(const Entity& entity, const std::string& id);
  bool exists(std::string_view table, const std::string& id);
  // `parent`: empty where the entity has none.
  Row add(const Entity& entity, const std::string& parent, const Fields& fields);
  // Nothing: there is no such record.
  std::optional<Row> change(const Entity& entity, const std::string& id, const Fields& fields);
  bool remove(const Entity& entity, const std::string& id);  // with all that belongs to it
  std::vector<std::pair<std::string_view, std::int64_t>> counts();

  std::vector<Row> amenities_of(const std::string& place);
  bool link(const std::string& place, const std::string& amenity);    // false: they were linked already
  bool unlink(const std::string& place, const std::string& amenity);  // false: they were not
  std::vector<Row> search(const Search& search);                      // places, with place_extras

 private:
  Connection& connection();
  std::vector<Row> run(const std::string& sql, const std::vector<Value>& values = {});
  Database& database_;
};

}  // namespace hbnb
