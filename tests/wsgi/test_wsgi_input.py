"""wsgi.input: every way to read a body, for every way in which it is sent; for whole bodies and for those that still arrive."""
import json
import random

import pytest

from wire import Wire, chunked, request_bytes

DICE = random.Random(5)
NOISE = DICE.randbytes(3 << 20)  # a line ends about every 256 bytes

BODIES = {
    "empty": b"",
    "one line": b"a line\n",
    "no line's end": b"no end",
    "lines": b"first\n\nthird, longer than the others\r\nlast",
    "only ends": b"\n\n\n",
    "a long line": b"x" * 5000 + b"\nnext\n",
    "64 KiB and more": NOISE[:70_000],
    "spooled": NOISE[:500_000],  # more than body_buffer_size, by far
}
WAYS = ["read:5", "read:0", "readline", "readline,readline,readline,readline,read:3", "readline:3,readline:3,readline:100",
        "readline:0,read:2", "iterate", "next,next,read:7,readline" , "readlines", "read:2,readlines", "readline,iterate",
        "all:1", "all:3", "all:1024", "all:100000", "read:100000000,read:5,readline,readlines", "readline:-1",
        "read:-1,read:5"]
BEYOND_THE_VALIDATOR = ["read", "read,read", "none,readline", "read:3,read,readline"]


ARRIVING = {"NARWHAL_CMD_ARGS": "--no-request-buffering"}  # Gunicorn gets it too, and never buffers
SERVED = {"whole": (1, {}), "arriving": (1, ARRIVING), "arriving, 4 threads": (4, ARRIVING)}


@pytest.fixture(scope="module", params=SERVED)
def plain(both, request):
    threads, environment = SERVED[request.param]
    return both("plain:checked", "--threads", threads, env=environment)


@pytest.fixture(scope="module", params=SERVED)
def bare(both, request):
    threads, environment = SERVED[request.param]
    return both("plain:bare", "--threads", threads, env=environment)


@pytest.fixture(scope="module")
def buffered(both):
    return both("plain:checked")


def usable(way, body):
    if way.startswith("next") and body.count(b"\n") < 2:
        return False  # StopIteration is right, and leaves no answer to compare
    return not (way in ("all:1", "all:3") and len(body) > 100_000)  # slow in Gunicorn, and would show nothing more


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", BODIES)
def test_every_way_to_read(plain, name, framing):
    same_every_way(plain, WAYS, BODIES[name], framing)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", BODIES)
def test_ways_that_the_validator_does_not_let_through(bare, name, framing):
    same_every_way(bare, BEYOND_THE_VALIDATOR, BODIES[name], framing)


def same_every_way(pair, ways, body, framing):
    sent = {"body": body} if framing == "length" else {
        "headers": [("Transfer-Encoding", "chunked")], "body": in_chunks(body)}
    for way in ways:
        if usable(way, body):
            pair.same(f"/body?do={way}", method="POST", **sent)


def in_chunks(body):
    """Cut at the same uneven places each time; no chunk is empty, because an empty one would be the last."""
    dice, pieces, at = random.Random(len(body)), [], 0
    while at < len(body):
        size = dice.choice([1, 7, 1000, 60_000, 400_000])
        pieces.append(body[at:at + size])
        at += size
    return chunked(*pieces)


def test_readlines_with_a_hint_stops_after_it(plain):
    """As in io.IOBase: whole lines until they have `hint` bytes. Gunicorn returns all lines whatever the hint is."""
    body = b"first\nsecond\nthird\n"
    with plain.narwhal.connect() as wire:
        got, rest = json.loads(wire.ask("/body?do=readlines:7,read:100", method="POST", body=body).body)
    assert b"".join(line[2].encode() for line in got) + rest[2].encode() == body
    assert [line[2] for line in got] == ["first\n", "second\n"]


def test_a_size_that_is_not_a_number(plain):
    assert plain.same("/wrong_size", method="POST", body=b"12345").body == b"TypeError"


@pytest.mark.parametrize("size", [10, 200_000, 3_000_000])
def test_a_body_that_is_not_read_does_not_hurt_the_next_request(buffered, size):
    buffered.ours.forget_wire()
    with buffered.narwhal.connect() as wire:
        for _ in range(3):
            assert wire.ask("/ignores_body", method="POST", body=NOISE[:size]).body == b"not read"
            said = wire.ask("/body?do=read:100", method="POST", body=b"the next one")
            assert json.loads(said.body)[0][2] == "the next one"


def test_a_body_in_any_cut(plain):
    data = request_bytes("/body?do=readline,read:4,iterate", method="POST", headers=[("Transfer-Encoding", "chunked")],
                         body=chunked(b"first line\nsec", b"ond\n", b"third"))
    whole = plain.same_bytes(data, "POST").body
    for cut in range(1, len(data), 7):
        with Wire(plain.narwhal.address) as wire:
            wire.send(data[:cut])
            wire.send(data[cut:])
            assert wire.response("POST").body == whole, cut


def test_expect_100_continue(plain):
    head = request_bytes("/body?do=read:10", method="POST", headers=[("Expect", "100-continue"), ("Content-Length", "4")])
    for server in (plain.gunicorn, plain.narwhal):
        with Wire(server.address) as wire:
            wire.send(head)
            assert wire.response("POST", interim=True).status == 100
            wire.send(b"body")
            assert json.loads(wire.response("POST").body)[0][2] == "body"
