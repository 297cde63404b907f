"""A usual Flask site: routes, templates, static files, sessions, uploads, streams, errors."""
import json
import os
import random

import pytest

from comparison import multipart
from wire import chunked, request_bytes

pytest.importorskip("flask", reason="the package python3-flask is not installed")

NOISE = random.Random(9).randbytes(2 << 20)
PAGES = ["/", "/hbnb", "/hbnb/", "/c/is_fun", "/c/caf%C3%A9", "/c/a%2Fb", "/python", "/python/", "/python/is_magic",
         "/number/89", "/number/x", "/states_list", "/states_list/", "/strict", "/strict/", "/strict?a=b", "/nope",
         "/nope/", "/api/v1/status", "/api/v1/states", "/api/v1/states/", "/api/v1/states/421a55f1", "/api/v1/states/nope",
         "/stream?x=%C3%A9", "/events", "/etag", "/nothing", "/teapot", "/login", "/profile", "/logout", "/cookies",
         "/form?a=1&a=2&b=", "/echo", "/echo?x=1&y=%20", "//c/x", "/download"]
STATIC = "/static/style.css"


@pytest.fixture(scope="module")
def site(both):
    path = both.shared / "blob.bin"
    path.write_bytes(NOISE[:300_000])
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return both("flask_site:app")


@pytest.mark.parametrize("target", PAGES)
def test_a_page(site, target):
    site.same(target)


@pytest.mark.parametrize("target", [*PAGES, STATIC])
def test_its_head(site, target):
    site.same(target, method="HEAD")


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE", "PUT", "PATCH", "POST"])
@pytest.mark.parametrize("target", ["/", "/echo", "/api/v1/states", "/api/v1/states/421a55f1", "/strict", STATIC])
def test_other_methods(site, target, method):
    site.same(target, method=method)


def test_a_static_file_and_the_conditions_on_it(site):
    whole = site.same(STATIC)
    tag, modified = whole.header("ETag"), whole.header("Last-Modified")
    for fields in ([("If-None-Match", tag)], [("If-None-Match", '"other"')], [("If-None-Match", f'"x", {tag}')],
                   [("If-None-Match", "*")], [("If-Modified-Since", modified)],
                   [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], [("If-Match", '"other"')],
                   [("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]):
        site.same(STATIC, headers=fields)
        site.same(STATIC, headers=fields, method="HEAD")
    assert site.same(STATIC, headers=[("If-None-Match", tag)]).status == 304


@pytest.mark.parametrize("target", [STATIC, "/files/blob.bin", "/download"])
def test_ranges_of_a_file(site, target):
    for wanted in ("bytes=0-9", "bytes=10-", "bytes=-5", "bytes=0-0", "bytes=5-100000000", "bytes=900000000-",
                   "bytes=0-1,3-4", "lines=1-2", "bytes=9-3"):
        site.same(target, headers=[("Range", wanted)])
    assert site.same(target, headers=[("Range", "bytes=2-5")]).status == 206


@pytest.mark.parametrize("target", ["/static/nope.css", "/static/", "/static/../__init__.py", "/static/..%2F__init__.py",
                                    "/static/style.css/", "/static/%2e%2e/__init__.py", "/static//style.css",
                                    "/static/style.css%00"])
def test_names_that_are_not_static_files(site, target):
    assert b"Flask" not in site.same(target).body


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 422,
                                  423, 424, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 599])
def test_abort(site, code):
    site.same(f"/abort/{code}")


def test_errors_of_the_application(site):
    assert site.same("/boom").status == site.same("/none").status == 500
    site.narwhal.wait_for("RuntimeError: boom")
    assert site.same("/boom_in_stream").body == b"begun"
    assert site.same("/hbnb").status == 200


def test_json_in_and_out(site):
    kind = ("Content-Type", "application/json")
    made = site.same("/api/v1/states", method="POST", headers=[kind], body=json.dumps({"name": "Île"}).encode())
    assert made.status == 201 and json.loads(made.body)["name"] == "Île"
    for body in (b"{}", b"{broken", b"", b"[1]"):
        site.same("/api/v1/states", method="POST", headers=[kind], body=body)
    site.same("/api/v1/states", method="POST", body=b"name=x")


def test_a_visitor_with_a_session(site):
    """The session's cookie is signed with the time in it: each server gives its own value, and must accept it."""
    visitor, signed = site.browser(), [(r"session=[\w.-]+", "session=SIGNED")]
    assert visitor.same("/profile", hide=signed).header("Location") == "/login?next=%2Fprofile"
    assert visitor.same("/login", form={"user": "Zoë & co"}, hide=signed).status == 302
    assert b"Welcome, Zo" in visitor.same("/profile", hide=signed).body
    for visits in range(2, 5):
        assert f"was here {visits} times".encode() in visitor.same("/profile", hide=signed).body
    assert visitor.same("/logout", hide=signed).status == 303
    assert visitor.same("/profile", hide=signed).status == 302


def test_cookies_both_ways(site):
    site.same("/cookies", headers=[("Cookie", 'a=1; b="two words"; c=caf\xe9; a=2')])


def test_cookies_on_two_lines_are_all_there(site):
    """HTTP/2 clients split them; Gunicorn joins lines by a comma, so that the second cookie and all after it are lost."""
    response = site.narwhal.get("/cookies", headers=[("Cookie", "a=1; b=2"), ("Cookie", "c=3")])
    assert json.loads(response.body) == {"a": "1", "b": "2", "c": "3"}


def test_forms(site):
    site.same("/form", form={"name": "Betty", "é": "ü & = +", "empty": ""})
    for method in ("PUT", "PATCH", "POST"):
        site.same("/form?q=1", method=method, headers=[("Content-Type", "text/plain")], body=b"plain text")


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 600_000])
def test_files_uploaded(site, size):
    kind, body = multipart("bound", ("title", "A title é"), ("file", "a b.bin", "application/octet-stream", NOISE[:size]),
                           ("file", "../../two.txt", "text/plain", b"--bound is not the end\r\n"),
                           ("other", "", "text/plain", b""))
    told = site.same("/upload", method="POST", headers=[kind], body=body).body
    assert json.loads(told)["files"][0][3] == size


def test_an_upload_over_the_applications_limit(site):
    kind, body = multipart("bound", ("file", "big", "text/plain", b"x" * (5 << 20)))
    with site.narwhal.connect() as wire:
        assert wire.ask("/upload", method="POST", headers=[kind], body=body).status == 413


@pytest.mark.parametrize("size", [0, 9_999, 10_000, 1_500_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_stream_of_a_body(site, size, framing):
    body = NOISE[:size]
    if framing == "length":
        site.same("/raw", method="POST", body=body)
    else:
        site.same("/raw", method="POST", headers=[("Transfer-Encoding", "chunked")],
                  body=chunked(*[body[at:at + 65_000] for at in range(0, size, 65_000)]))


def test_a_form_in_chunks(site):
    """Flask reads it because of wsgi.input_terminated. Its length is known only here."""
    data = request_bytes("/form", method="POST", body=chunked(b"a=1&b", b"=2"), headers=[
        ("Transfer-Encoding", "chunked"), ("Content-Type", "application/x-www-form-urlencoded")])
    theirs, ours = (json.loads(side.answer(data, "POST").body) for side in (site.theirs, site.ours))
    assert (theirs.pop("length"), ours.pop("length")) == (None, 7)
    assert ours == theirs and ours["form"] == {"a": ["1"], "b": ["2"]}


def test_a_stream_comes_in_pieces(site):
    response = site.same("/stream?x=1")
    assert response.framing == "chunked" and len(response.chunks) > 1
