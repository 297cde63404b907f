"""Every row of the wire tables, against the real server: after nothing, after a quick answer and after a slow
streamed one, and always with one more request after it. That one is answered when the row is accepted and lets the
connection live; when the row is refused, nothing after it is ever treated as a request; and what was due before it
always arrives."""
import json

import pytest

from server import example
from wire import WireError, request_bytes
from wire_tables import CHUNKS, HEADS

BEFORE = [b"", request_bytes("/before?size=3"), request_bytes("/before?size=3&chunked=1&sleep=0.01")]
MARKER = request_bytes("/marker")
CHUNKED = b"POST /chunked HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module", params=["echo", "echo-stream"])
def echo(serve_module, request):
    return serve_module(example(request.param), "-w", "1", "--threads", "2")


def ids(rows):
    return [f"{row.table}-{number}" for number, row in enumerate(rows)]


def converse(server, data):
    """For each thing that may come before: a connection on which all was sent and the answer before it has come."""
    for before in BEFORE:
        with server.connect() as wire:
            wire.send(before + data + MARKER)
            if before:
                assert wire.response().body == b"xxx", "the answer that was due before"
            yield wire


def assert_refused(wire, status):
    response = wire.response()
    assert response.status == status and response.closes
    assert response.body.endswith(b"\n") and len(response.body) > 5, "no word of what was wrong"
    assert_nothing_more(wire)


def assert_nothing_more(wire):
    try:
        assert wire.rest() == b"", "something after it was treated as a request"
    except WireError as error:
        assert getattr(error, "reset", False), error


def assert_marker(wire):
    assert json.loads(wire.response().body)["path"] == "/marker"


def head_and_body(row):
    """The row's head alone, and a whole body for it: the part that the row has, then the rest."""
    skipped = len(row.bytes) - len(row.bytes.lstrip(b"\r\n"))
    end = row.bytes.index(b"\r\n\r\n", skipped) + 4
    kind, _, size = row.says["framing"].partition("=")
    if kind == "chunked":
        return row.bytes[:end], b"5\r\nhello\r\n0\r\n\r\n"
    if kind == "none":
        return row.bytes[:end], b""
    if int(size) > 1_000_000:
        return row.bytes[:end], None
    return row.bytes[:end], (row.bytes[end:] + b"x" * int(size))[:int(size)]


REFUSED = [row for row in HEADS if row.refused]
ACCEPTED = [row for row in HEADS if row.says]


@pytest.mark.parametrize("row", REFUSED, ids=ids(REFUSED))
def test_a_refused_head_is_the_last_thing_on_its_connection(echo, row):
    for wire in converse(echo, row.bytes):
        assert_refused(wire, row.refused)


@pytest.mark.parametrize("row", ACCEPTED, ids=ids(ACCEPTED))
def test_an_accepted_head_means_to_the_application_what_the_table_says(echo, row):
    head, body = head_and_body(row)
    if body is None:
        return  # a body that no client can send
    for wire in converse(echo, head + body):
        wire.speaks_1_0 = row.says["minor"] == "0"
        response = wire.response(row.says["method"])
        assert response.status == 200
        assert response.closes == (row.says["after"] == "close")
        if row.says["method"] != "HEAD":
            answer = json.loads(response.body)
            path, _, query = row.says["target"].partition("?")
            assert (answer["method"], answer["path"], answer["query"]) == (row.says["method"], path, query)
            # A setting decides about names with an underscore.
            assert [tuple(field) for field in answer["headers"] if "_" not in field[0]] == \
                [field for field in row.fields() if "_" not in field[0]]
            assert answer["body"].encode("latin-1") == (b"hello" if row.says["framing"] == "chunked" else body)
        wire.speaks_1_0 = False
        assert_nothing_more(wire) if response.closes else assert_marker(wire)


@pytest.mark.parametrize("row", [row for row in CHUNKS if row.refused], ids=ids(row for row in CHUNKS if row.refused))
def test_a_refused_chunked_body_is_the_last_thing_on_its_connection(echo, row):
    for wire in converse(echo, CHUNKED + row.bytes):
        assert_refused(wire, row.refused)


WHOLE = [row for row in CHUNKS if row.meaning.startswith("=")]


@pytest.mark.parametrize("row", WHOLE, ids=ids(WHOLE))
def test_an_accepted_chunked_body_is_the_applications(echo, row):
    body, plus, left_over = row.meaning[1:].rpartition("+")
    data = row.bytes[:-int(left_over)] if plus else row.bytes
    for wire in converse(echo, CHUNKED + data):
        answer = json.loads(wire.response().body)
        assert answer["body"] == (body if plus else row.meaning[1:])
        assert_marker(wire)


@pytest.mark.parametrize("head", [b"", CHUNKED], ids=["heads", "chunks"])
def test_a_request_that_is_never_complete_is_never_answered(echo, head):
    for row in CHUNKS if head else HEADS:
        if row.meaning != "more":
            continue
        with echo.connect() as wire:
            wire.send(BEFORE[1] + head + row.bytes)
            wire.shut_down_writing()
            assert wire.response().body == b"xxx"
            assert wire.rest() == b"", row
