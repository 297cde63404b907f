# The Airbnb clone in Flask, beside the plugin in examples/hbnb: the same pages, API, templates and tables, so that the two
# can be compared, and may even share a database file. SQLite only.
#   HBNB_DATABASE=/tmp/hbnb.db narwhal -w 2 --threads 4 --chdir examples/hbnb-flask app:app
# Without the variable it is hbnb.db in the current directory.
import os
from pathlib import Path

from flask import Flask, Response, jsonify, make_response, render_template, request, url_for
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import BaseConverter

import fields
from records import Missing, Records, TABLES, Unavailable

HERE = Path(__file__).resolve().parent
PARTS = HERE.parent / "hbnb"
HEADERS = {"Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
           "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
TEXT_503 = "The database does not answer"

app = Flask(__name__, template_folder=str(PARTS / "templates"), static_folder=str(PARTS / "static"))
app.url_map.strict_slashes = False
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
records = Records(os.environ.get("HBNB_DATABASE", "hbnb.db"), PARTS / "sql")


class Identity(BaseConverter):
    """An id in a path: what cannot be one is not looked for."""
    regex = "[0-9A-Za-z-]+"


app.url_map.converters["id"] = Identity


# ---- the API ----
def api(rule, method="GET"):
    return app.route("/api/v1" + rule, methods=[method])


def found(row):
    if row is None:
        raise NotFound
    return row


@api("/status")
def status():
    return jsonify(status="OK")


@api("/stats")
def stats():
    return jsonify(records.counts())


def add_routes(table):
    """List, create, read, change and delete the records of one table."""
    one = f"/{table.name}/<id:key>"
    every = f"/{table.parent}/<id:parent>/{table.name}" if table.parent else f"/{table.name}"

    def list_all(parent=None):
        if parent:
            found(records.find(TABLES[table.parent], parent))
        return jsonify(records.list(table, parent))

    def create(parent=None):
        if parent:
            found(records.find(TABLES[table.parent], parent))
        body = fields.json_object(request)
        for field in table.fields:
            if field.kind == "user":
                found(records.find(TABLES["users"], fields.reference(field, body)))
        row = records.add(table, parent, fields.checked(table, body, making=True))
        return jsonify(row), 201, {"Location": url_for(f"show_{table.name}", key=row["id"])}

    def show(key):
        return jsonify(found(records.find(table, key)))

    def change(key):
        found(records.find(table, key))
        return jsonify(found(records.change(table, key, fields.checked(table, fields.json_object(request), making=False))))

    def delete(key):
        found(records.remove(table, key))
        return jsonify({})

    for view, rule, method in ((list_all, every, "GET"), (create, every, "POST"), (show, one, "GET"), (change, one, "PUT"),
                               (delete, one, "DELETE")):
        app.add_url_rule("/api/v1" + rule, f"{view.__name__}_{table.name}", view, methods=[method])


for each in TABLES.values():
    add_routes(each)


@api("/places/<id:place>/amenities")
def amenities_of(place):
    found(records.find(TABLES["places"], place))
    return jsonify(records.amenities_of(place))


@api("/places/<id:place>/amenities/<id:amenity>", "POST")
def link(place, amenity):
    row = found(records.find(TABLES["amenities"], amenity))
    found(records.find(TABLES["places"], place))
    return jsonify(row), 201 if records.link(place, amenity) else 200


@api("/places/<id:place>/amenities/<id:amenity>", "DELETE")
def unlink(place, amenity):
    found(records.unlink(place, amenity))
    return jsonify({})


@api("/places_search", "POST")
def places_search():
    return jsonify(records.search(**fields.search(fields.json_object(request))))


# ---- the pages ----
def page(template, status=200, **data):
    body = render_template(template, root=request.script_root + "/", version="", **data)
    return make_response(body, status, HEADERS)


def states_with_cities():
    cities = records.list(TABLES["cities"])
    return [{**state, "cities": [city for city in cities if city["state_id"] == state["id"]]}
            for state in records.list(TABLES["states"])]


@app.get("/")
@app.get("/hbnb")
def clone():
    return page("hbnb.html", states=states_with_cities(), amenities=records.list(TABLES["amenities"]))


@app.get("/airbnb-onepage")
def onepage():
    return page("onepage.html", states=states_with_cities(), places=records.search([], [], []))


@app.get("/airbnb-dynamic/number_odd_or_even/<int:n>")
def odd_or_even(n):
    return page("number.html", n=n, kind="odd" if n % 2 else "even")


@app.after_request
def fix_type(answer):
    if request.endpoint == "static":
        answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


# ---- what goes wrong ----
@app.errorhandler(Missing)
def missing(error):
    return refuse(NotFound())


@app.errorhandler(HTTPException)
def refuse(error):
    if not request.path.startswith("/api/v1"):
        return page("missing.html", 404) if error.code == 404 else error
    answer = jsonify(error="Not found" if error.code == 404 else error.description if error.code == 400 else error.name)
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer, error.code, allow


@app.errorhandler(Unavailable)
def unavailable(error):
    app.logger.error("%s", error)
    if request.path.startswith("/api/v1"):
        return jsonify(error=TEXT_503), 503, {"Retry-After": "1"}
    return Response(TEXT_503 + "\n", 503, {"Retry-After": "1"}, mimetype="text/plain")
