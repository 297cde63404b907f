"""One client's talk with the Airbnb clone, for comparing implementations and databases: every answer, without what differs
by nature (ids, times, the version in the names of static files)."""
import json
import re

JSON = {"Content-Type": "application/json"}
COMPARED = ("Content-Type", "Location", "Retry-After", "Content-Security-Policy", "X-Content-Type-Options")
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\b")


class Talk:
    """On one connection. Each answer is kept in `seen`; ids are named by the order in which they appeared."""

    def __init__(self, wire):
        self.wire, self.seen, self.ids = wire, [], {}

    def __call__(self, method, path, body=None, headers=JSON):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.wire.ask(path, method=method, headers=headers if data else {}, body=data)
        fields = {name: self.plain(answer.header(name) or "") for name in COMPARED}
        fields["Allow"] = sorted(re.split(", *", answer.header("Allow") or ""))
        is_json = answer.header("Content-Type") == "application/json"
        text = self.plain(json.dumps(json.loads(answer.text), sort_keys=True) if is_json else answer.text)
        self.seen.append((method, self.plain(path), answer.status, fields, text))
        return json.loads(answer.text) if is_json else answer.text

    def plain(self, text):
        text = UUID.sub(lambda match: self.ids.setdefault(match[0], f"id-{len(self.ids)}"), text)
        return re.sub(r"\?v=[0-9a-f]*", "?v=", TIME.sub("time", text))


def whole(talk):
    """All of the API and the pages, with what a client may do wrong."""
    api = "/api/v1"
    for path in ("/status", "/stats/", "/states", "/users", "/amenities/", "/nothing", "/states/none/cities", "/states/a%00b"):
        talk("GET", api + path)
    made = records(talk, api)
    mistakes(talk, api, made)
    for body in ({}, {"states": [], "cities": None}, {"states": [made["state"]]}, {"cities": [made["city"]], "amenities": []},
                 {"amenities": [made["amenity"]]}, {"amenities": [made["amenity"], "none"]}, {"states": "x"}, {"cities": [7]}):
        talk("POST", api + "/places_search", body)
    for path in ("/", "/hbnb/", "/airbnb-onepage", "/airbnb-onepage/", "/airbnb-dynamic/number_odd_or_even/0/",
                 "/airbnb-dynamic/number_odd_or_even/89", "/airbnb-dynamic/number_odd_or_even/x", "/none",
                 "/static/hbnb.js", "/static/none.js"):
        talk("GET", path)
    for kind in ("reviews", "places", "cities", "users", "amenities", "states"):
        one = f"{api}/{kind}/{made[SINGULAR[kind]]}"
        for method in ("GET", "DELETE", "DELETE", "GET"):
            talk(method, one)
    talk("GET", api + "/stats")
    return talk.seen


SINGULAR = {"reviews": "review", "places": "place", "cities": "city", "users": "user", "amenities": "amenity", "states": "state"}


def records(talk, api):
    """Makes one of each kind, reads and changes it; returns their ids."""
    made = {"state": talk("POST", api + "/states", {"name": "Utah <i>"})["id"]}
    made["city"] = talk("POST", f"{api}/states/{made['state']}/cities", {"name": "Moab \u00e9\u4e2d", "unknown": 1})["id"]
    made["user"] = talk("POST", api + "/users/", {"email": "a@example.org", "password": "secret", "last_name": "Ng"})["id"]
    made["amenity"] = talk("POST", api + "/amenities", {"name": "Stove"})["id"]
    made["place"] = talk("POST", f"{api}/cities/{made['city']}/places", {
        "name": "Tent", "user_id": made["user"], "max_guest": 2, "price_by_night": 2147483647, "latitude": 38.5733,
        "longitude": -109, "description": None})["id"]
    made["review"] = talk("POST", f"{api}/places/{made['place']}/reviews", {"text": "Windy.", "user_id": made["user"]})["id"]
    link = f"{api}/places/{made['place']}/amenities/{made['amenity']}"
    for method in ("DELETE", "POST", "POST", "DELETE", "POST"):
        talk(method, link)
    for path in (f"/states/{made['state']}/cities/", f"/cities/{made['city']}/places", f"/places/{made['place']}/reviews",
                 f"/places/{made['place']}/amenities"):
        talk("GET", api + path)
    talk("PUT", f"{api}/places/{made['place']}", {"name": "Yurt", "latitude": None, "user_id": "x", "id": "y"})
    talk("PUT", f"{api}/users/{made['user']}", {"email": "other", "first_name": "Mo", "last_name": None})
    talk("PUT", f"{api}/reviews/{made['review']}", {})
    return made


def mistakes(talk, api, made):
    places = f"{api}/cities/{made['city']}/places"
    for path, body in ((api + "/states", b"{"), (api + "/states", b"[1]"), (api + "/states", b'"x"'), (api + "/states", {}),
                       (api + "/states", {"name": 1}), (api + "/states", {"name": "a\0"}), (api + "/states", {"name": "\u00e9" * 129}),
                       (api + "/states", b'{"name": "\xff"}'), (api + "/users", {"password": "x"}), (api + "/users", {"email": "x"}),
                       (api + "/users", {"email": "x", "password": 1}), (places, {"name": "x"}),
                       (places, {"name": "x", "user_id": "none"}), (places, {"name": "x", "user_id": 7}), (places, {"user_id": made["user"]}),
                       (places, {"name": "x", "user_id": made["user"], "max_guest": -1}),
                       (places, {"name": "x", "user_id": made["user"], "max_guest": 2.0}),
                       (places, {"name": "x", "user_id": made["user"], "latitude": True}),
                       (f"{api}/places/{made['place']}/reviews", {"user_id": made["user"]}), (f"{api}/places/none/reviews", b"{")):
        talk("POST", path, body)
    talk("POST", api + "/states", b'{"name": "x"}', headers={"Content-Type": "text/plain"})
    talk("PUT", f"{api}/cities/{made['city']}", b"{")
    talk("PUT", f"{api}/cities/none", b"{")
    talk("PUT", f"{api}/cities/{made['city']}", {"name": None})
    talk("PATCH", f"{api}/cities/{made['city']}", {})
    talk("POST", f"{api}/places/{made['place']}/amenities/none")
