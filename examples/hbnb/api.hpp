// The JSON API, as a router to be mounted: lists, one record, creation, change and deletion of everything in
// entities.hpp, the amenities of places, counts, and the search for places.
// Errors     JSON, {"error": "Not found"}, with the texts that the well-known exercise has: "Not a JSON", "Missing name".
// Ownership  the router refers to `records`, which must outlive it.
// Threads    those of a router.
#pragma once

#include <narwhal/router.hpp>

#include "records.hpp"

namespace hbnb {

narwhal::Router make_api(Records& records);

}  // namespace hbnb
