// What the clone keeps, as one table: the columns of each kind of record, and what a client may write into them.
// Ownership  constants.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace hbnb {

struct Field {
  enum class Kind : std::uint8_t {
    text,
    secret,   // text of which only a hash is kept, and which is never shown
    integer,  // not negative, at most 2147483647
    real,     // or null
    user      // the id of a user
  };
  std::string_view name;
  Kind kind = Kind::text;
  bool required = false;   // when the record is made
  bool fixed = false;      // given when the record is made, and ignored in a change
  std::size_t most = 128;  // characters of a text
};

struct Entity {
  std::string_view table;          // also the word in paths: /states
  std::string_view type;           // "State": the member __class__ of the JSON
  std::string_view parent;         // the table that a record of this one belongs to; empty: none
  std::string_view parent_column;  // "state_id"
  std::span<const Field> fields;
};

namespace detail {
inline constexpr Field named[] = {{.name = "name", .required = true}};
inline constexpr Field of_user[] = {{.name = "email", .required = true, .fixed = true},
                                    {.name = "password", .kind = Field::Kind::secret, .required = true},
                                    {.name = "first_name"},
                                    {.name = "last_name"}};
inline constexpr Field of_place[] = {{.name = "user_id", .kind = Field::Kind::user, .required = true, .fixed = true},
                                     {.name = "name", .required = true},
                                     {.name = "description", .most = 1024},
                                     {.name = "number_rooms", .kind = Field::Kind::integer},
                                     {.name = "number_bathrooms", .kind = Field::Kind::integer},
                                     {.name = "max_guest", .kind = Field::Kind::integer},
                                     {.name = "price_by_night", .kind = Field::Kind::integer},
                                     {.name = "latitude", .kind = Field::Kind::real},
                                     {.name = "longitude", .kind = Field::Kind::real}};
inline constexpr Field of_review[] = {{.name = "user_id", .kind = Field::Kind::user, .required = true, .fixed = true},
                                      {.name = "text", .required = true, .most = 1024}};
}  // namespace detail

inline constexpr Entity states{"states", "State", "", "", detail::named};
inline constexpr Entity cities{"cities", "City", "states", "state_id", detail::named};
inline constexpr Entity users{"users", "User", "", "", detail::of_user};
inline constexpr Entity amenities{"amenities", "Amenity", "", "", detail::named};
inline constexpr Entity places{"places", "Place", "cities", "city_id", detail::of_place};
inline constexpr Entity reviews{"reviews", "Review", "places", "place_id", detail::of_review};
inline constexpr const Entity* entities[] = {&states, &cities, &users, &amenities, &places, &reviews};

}  // namespace hbnb
