"""The records of the clone in SQLite: the tables of examples/hbnb/sql, and what the API and the pages need of them."""
import datetime
import json
import sqlite3
import threading
import time
import uuid
from dataclasses import dataclass

STEPS = ("1-tables.sql", "2-indexes.sql")
BUSY_SECONDS = 5


class Unavailable(Exception):
    """The database is not reachable, or too busy; the same may work later."""


class Missing(Exception):
    """A record refers to another one that has been deleted meanwhile."""


@dataclass(frozen=True)
class Field:
    name: str
    kind: str = "text"  # text, secret, integer, real, user
    required: bool = False
    fixed: bool = False
    most: int = 128


@dataclass(frozen=True)
class Table:
    name: str
    type: str
    fields: tuple
    parent: str = ""
    parent_column: str = ""

    def columns(self):
        parent = [self.parent_column] if self.parent else []
        return ["id", "created_at", "updated_at", *parent, *(field.name for field in self.fields if field.kind != "secret")]

    def selected(self):
        return ", ".join(f"{self.name}.{column}" for column in self.columns())

    def shown(self, row):
        shown = {"__class__": self.type, **dict(zip(self.columns(), row))}
        for field in self.fields:  # SQLite's RETURNING gives the whole numbers among reals as integers
            if field.kind == "real" and shown[field.name] is not None:
                shown[field.name] = float(shown[field.name])
        return shown


NAME = (Field("name", required=True),)
USER = Field("user_id", "user", required=True, fixed=True)
TABLES = {table.name: table for table in (
    Table("states", "State", NAME),
    Table("cities", "City", NAME, "states", "state_id"),
    Table("users", "User", (Field("email", required=True, fixed=True), Field("password", "secret", required=True),
                            Field("first_name"), Field("last_name"))),
    Table("amenities", "Amenity", NAME),
    Table("places", "Place", (USER, *NAME, Field("description", most=1024), Field("number_rooms", "integer"),
                              Field("number_bathrooms", "integer"), Field("max_guest", "integer"),
                              Field("price_by_night", "integer"), Field("latitude", "real"), Field("longitude", "real")),
          "cities", "city_id"),
    Table("reviews", "Review", (USER, Field("text", required=True, most=1024)), "places", "place_id"))}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")


class Records:
    def __init__(self, path, sql):
        self._path, self._threads = path, threading.local()
        self._migrate(sql)

    def list(self, table, parent=None):
        where, values = (f" WHERE {table.parent_column} = ?", [parent]) if parent else ("", [])
        rows = self._run(f"SELECT {table.selected()} FROM {table.name}{where} ORDER BY created_at, id", values)
        return [table.shown(row) for row in rows]

    def find(self, table, key):
        return self._one(table, f"SELECT {table.selected()} FROM {table.name} WHERE id = ?", [key])

    def add(self, table, parent, values):
        moment = now()
        row = {"id": str(uuid.uuid4()), "created_at": moment, "updated_at": moment,
               **{field.name: 0 for field in table.fields if field.kind == "integer"}, **values}
        if parent:
            row[table.parent_column] = parent
        return self._one(table, f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
                         f" RETURNING {', '.join(table.columns())}", list(row.values()))

    def change(self, table, key, values):
        row = {"updated_at": now(), **values}
        return self._one(table, f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in row)} WHERE id = ?"
                         f" RETURNING {', '.join(table.columns())}", [*row.values(), key])

    def remove(self, table, key):
        return self._first(f"DELETE FROM {table.name} WHERE id = ? RETURNING id", [key])

    def counts(self):
        row = self._first("SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in TABLES))
        return dict(zip(TABLES, row))

    def amenities_of(self, place):
        table = TABLES["amenities"]
        rows = self._run(f"SELECT {table.selected()} FROM amenities JOIN place_amenity ON amenity_id = id WHERE place_id = ?"
                         " ORDER BY name, id", [place])
        return [table.shown(row) for row in rows]

    def link(self, place, amenity):
        return self._first("INSERT INTO place_amenity (place_id, amenity_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
                           " RETURNING place_id", [place, amenity])

    def unlink(self, place, amenity):
        return self._first("DELETE FROM place_amenity WHERE place_id = ? AND amenity_id = ? RETURNING place_id",
                           [place, amenity])

    def search(self, states, cities, amenities):
        table = TABLES["places"]
        rows = self._run(
            f"SELECT {table.selected()}, cities.name, states.name,"
            " trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')),"
            " (SELECT count(*) FROM reviews WHERE place_id = places.id)"
            " FROM places JOIN cities ON cities.id = city_id JOIN states ON states.id = state_id"
            " JOIN users ON users.id = user_id WHERE (? OR state_id IN (SELECT value FROM json_each(?))"
            " OR city_id IN (SELECT value FROM json_each(?))) AND (SELECT count(*) FROM place_amenity"
            " WHERE place_id = places.id AND amenity_id IN (SELECT value FROM json_each(?))) = ?"
            " ORDER BY places.name, places.id",
            [not states and not cities, json.dumps(states), json.dumps(cities), json.dumps(amenities), len(amenities)])
        extras = ("city", "state", "owner", "reviews")
        return [{**table.shown(row), **dict(zip(extras, row[-len(extras):]))} for row in rows]

    # ---- SQLite ----
    def _one(self, table, sql, values):
        row = self._first(sql, values)
        return None if row is None else table.shown(row)

    def _first(self, sql, values=()):
        rows = self._run(sql, values)
        return rows[0] if rows else None

    def _run(self, sql, values=()):
        try:
            return self._connection().execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"SQLite, {self._path}: {error}") from error
        except sqlite3.IntegrityError as error:
            raise Missing(str(error)) from error

    def _connection(self):
        """The thread's own, opened after the fork."""
        if not hasattr(self._threads, "connection"):
            self._threads.connection = self._open()
        return self._threads.connection

    def _open(self):
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        end = time.monotonic() + BUSY_SECONDS
        while True:  # several workers may open a new file at once; SQLite does not wait for this lock by itself
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        connection.executescript("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
        return connection

    def _migrate(self, sql):
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
        row = connection.execute("SELECT version FROM schema_version").fetchone()
        before = row[0] if row else 0
        if before > len(STEPS):
            raise Unavailable(f"{self._path} has version {before} of the tables, and this program knows {len(STEPS)}")
        if row is None:
            connection.execute("INSERT INTO schema_version VALUES (0)")
        for name in (*STEPS[before:], *(["first-data.sql"] if before == 0 else [])):
            for statement in (sql / name).read_text().split(";\n"):
                connection.execute(statement)
        connection.execute("UPDATE schema_version SET version = ?", [len(STEPS)])
        connection.execute("COMMIT")
        connection.close()
