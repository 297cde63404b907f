"""Bottle, Falcon and Pyramid: a few routes of each, with files, streams, forms and errors."""
import json
import os
import random

import pytest

from comparison import LENGTH_KNOWN, NO_LENGTH, multipart
from wire import chunked

NOISE = random.Random(6).randbytes(1 << 20)
KIND = {"json": ("Content-Type", "application/json"), "octets": ("Content-Type", "application/octet-stream")}
FILES = ["/files/blob.bin", "/files/nope", "/files/", "/files/..%2Fx", "/files/a%00b"]
RANGES = ["bytes=0-9", "bytes=5-", "bytes=-5", "bytes=900000000-", "bytes=0-1,4-5", "bytes=5-4"]


@pytest.fixture(scope="module")
def shared(both):
    path = both.shared / "blob.bin"
    path.write_bytes(NOISE[:300_000])
    os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.fixture(scope="module")
def bottle(both, shared):
    pytest.importorskip("bottle", reason="the package python3-bottle is not installed")
    return both("bottle_site:app")


@pytest.fixture(scope="module")
def falcon(both, shared):
    pytest.importorskip("falcon", reason="the package python3-falcon is not installed")
    return both("falcon_site:app")


@pytest.fixture(scope="module")
def pyramid(both, shared):
    pytest.importorskip("pyramid", reason="the package python3-pyramid is not installed")
    return both("pyramid_site:make()")


def files_of(site):
    for target in FILES:
        site.same(target)
        site.same(target, method="HEAD")
    whole = site.same("/files/blob.bin")
    assert whole.body == NOISE[:300_000]
    for wanted in RANGES:
        site.same("/files/blob.bin", headers=[("Range", wanted)])
    if modified := whole.header("Last-Modified"):
        site.same("/files/blob.bin", headers=[("If-Modified-Since", modified)])


@pytest.mark.parametrize("target", ["/", "/hello/caf%C3%A9", "/hello/a%2Fb", "/number/7?a=1&b=%C3%A9", "/number/x", "/nope",
                                    "/about?x=1", "/cookies", "/stream", "/empty", "/moved", "/odd", "/teapot",
                                    "/raised", "/boom"])
def test_bottle(bottle, target):
    bottle.same(target)
    bottle.same(target, method="HEAD")


def test_a_file_that_bottle_returns_is_sent_with_its_length(bottle):
    assert bottle.same("/open", differs=LENGTH_KNOWN).body == NOISE[:300_000]


def test_bottles_files(bottle):
    files_of(bottle)
    bottle.same("/files/blob.bin?download=x.bin")


def test_bottles_bodies(bottle):
    bottle.same("/form", form={"a": "1", "é": "ü"})
    kind, body = multipart("bound", ("title", "t"), ("file", "a.bin", "application/octet-stream", NOISE[:200_000]))
    bottle.same("/form", method="POST", headers=[kind], body=body)
    bottle.same("/json", method="POST", headers=[KIND["json"]], body=b'{"a": [1, "\\u00e9"]}')
    bottle.same("/json", method="POST", headers=[KIND["json"]], body=b"{broken")
    for size in (0, 10, 150_000):
        bottle.same("/raw", method="POST", headers=[KIND["octets"]], body=NOISE[:size])
    bottle.same("/cookies", headers=[("Cookie", "plain=x; signed=forged")])
    bottle.same("/about", method="DELETE")


def test_bottle_reads_chunks(bottle):
    """Bottle decodes chunks itself where it sees Transfer-Encoding; it must get the whole body, already decoded."""
    with bottle.narwhal.connect() as wire:
        told = wire.ask("/raw", method="POST", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"in ", b"chunks"))
    assert told.status == 200 and json.loads(told.body)["size"] == 9


def test_bottles_errors(bottle):
    assert bottle.same("/boom_later").body == b"begun"
    bottle.narwhal.wait_for("RuntimeError: boom")
    bottle.same("/nothing", differs=NO_LENGTH)


@pytest.mark.parametrize("target", ["/things", "/things/1", "/things/9", "/things/x", "/about?a=1&a=2", "/stream",
                                    "/stream?length=true", "/sink/any/where", "/nope", "/errors/boom",
                                    "/errors/limit", "/errors/auth", "/errors/range", "/errors/moved", "/errors/status"])
def test_falcon(falcon, target):
    falcon.same(target)
    falcon.same(target, method="HEAD")


def test_a_file_that_falcon_streams_is_sent_with_its_length(falcon):
    assert falcon.same("/stream?file=true", differs=LENGTH_KNOWN).body == NOISE[:300_000]


def test_falcons_files(falcon):
    files_of(falcon)


def test_falcons_methods_and_media(falcon):
    for method in ("OPTIONS", "PATCH", "DELETE"):
        falcon.same("/things/1", method=method)
    for body in (b'{"a": 1}', b"{broken", b""):
        falcon.same("/things", method="POST", headers=[KIND["json"]], body=body)
    falcon.same("/things", method="POST", headers=[("Content-Type", "text/odd")], body=b"x")
    falcon.same("/things/2", method="PUT", headers=[KIND["octets"]], body=b"12345")
    for size in (0, 8192, 500_000):
        falcon.same("/body?bounded=true", method="POST", body=NOISE[:size])
        falcon.same("/body", method="POST", body=NOISE[:size])
    falcon.same("/body", method="POST", headers=[("Transfer-Encoding", "chunked")], body=chunked(NOISE[:9000], b"end"))
    falcon.same("/about", headers=[("Forwarded", "proto=https;host=x"), ("X-Forwarded-Proto", "https"),
                                   ("Cookie", "a=1; b=2")])
    assert falcon.same("/errors/late").body == b"begun"


@pytest.mark.parametrize("target", ["/", "/hello/caf%C3%A9?x=%20y", "/hello/a%2Fb", "/about", "/nope", "/nope/", "/stream",
                                    "/download", "/iter", "/conditional", "/fails/moved", "/fails/forbidden", "/fails/odd",
                                    "/fails/nothing"])
def test_pyramid(pyramid, target):
    pyramid.same(target)
    pyramid.same(target, method="HEAD")


def test_pyramids_files(pyramid):
    files_of(pyramid)


def test_pyramids_bodies_and_conditions(pyramid):
    pyramid.same("/form", form={"a": "1", "é": "ü"})
    kind, body = multipart("bound", ("title", "t"), ("file", "a.bin", "application/octet-stream", NOISE[:200_000]))
    pyramid.same("/form", method="POST", headers=[kind], body=body)
    for size in (0, 10, 150_000):
        pyramid.same("/raw", method="POST", headers=[KIND["octets"]], body=NOISE[:size])
    assert pyramid.same("/conditional", headers=[("If-None-Match", '"tag-1"')]).status == 304
    for wanted in RANGES:
        pyramid.same("/conditional", headers=[("Range", wanted)])


def test_a_visitor_of_pyramid(pyramid):
    """The session's cookie is signed with the time in it."""
    visitor = pyramid.browser()
    for number in range(1, 4):
        said = visitor.same("/session", hide=[(r"session=[\w.%-]+", "session=SIGNED")])
        assert said.text == f"visit {number}"


def test_pyramid_lets_an_error_through_to_the_server(pyramid):
    """Its own 500 is the server's page: only the status line is the same."""
    mark = pyramid.narwhal.mark()
    assert pyramid.narwhal.get("/fails/boom").status == 500
    pyramid.narwhal.wait_for(r"^RuntimeError: boom$", after=mark)
