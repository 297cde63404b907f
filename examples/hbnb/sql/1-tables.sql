-- Read by SQLite and by PostgreSQL. Ids are UUIDs of version 4; times are UTC in ISO 8601 with microseconds, so that
-- their order as texts is their order in time.
CREATE TABLE states (
  id text PRIMARY KEY,
  created_at text NOT NULL,
  updated_at text NOT NULL,
  name text NOT NULL
);
CREATE TABLE cities (
  id text PRIMARY KEY,
  created_at text NOT NULL,
  updated_at text NOT NULL,
  state_id text NOT NULL REFERENCES states (id) ON DELETE CASCADE,
  name text NOT NULL
);
CREATE TABLE users (
  id text PRIMARY KEY,
  created_at text NOT NULL,
  updated_at text NOT NULL,
  email text NOT NULL,
  password text NOT NULL,
  first_name text,
  last_name text
);
CREATE TABLE amenities (
  id text PRIMARY KEY,
  created_at text NOT NULL,
  updated_at text NOT NULL,
  name text NOT NULL
);
CREATE TABLE places (
  id text PRIMARY KEY,
  created_at text NOT NULL,
  updated_at text NOT NULL,
  city_id text NOT NULL REFERENCES cities (id) ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name text NOT NULL,
  description text,
  number_rooms integer NOT NULL DEFAULT 0,
  number_bathrooms integer NOT NULL DEFAULT 0,
  max_guest integer NOT NULL DEFAULT 0,
  price_by_night integer NOT NULL DEFAULT 0,
  latitude double precision,
  longitude double precision
);
CREATE TABLE reviews (
  id text PRIMARY KEY,
  created_at text NOT NULL,
  updated_at text NOT NULL,
  place_id text NOT NULL REFERENCES places (id) ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  text text NOT NULL
);
CREATE TABLE place_amenity (
  place_id text NOT NULL REFERENCES places (id) ON DELETE CASCADE,
  amenity_id text NOT NULL REFERENCES amenities (id) ON DELETE CASCADE,
  PRIMARY KEY (place_id, amenity_id)
);
