-- What lists and searches look for, and what a deletion has to find in other tables.
CREATE INDEX cities_of_state ON cities (state_id);
CREATE INDEX places_of_city ON places (city_id);
CREATE INDEX places_of_user ON places (user_id);
CREATE INDEX reviews_of_place ON reviews (place_id);
CREATE INDEX reviews_of_user ON reviews (user_id);
CREATE INDEX places_with_amenity ON place_amenity (amenity_id);
