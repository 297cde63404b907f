"""The echo example: each of its parameters, as other tests and benchmarks rely on them."""
import hashlib
import json
import time

import pytest

from clock import eventually, scaled
from server import example
from wire import Truncated, WireError, request_bytes

KEYS = {"method", "path", "query", "headers", "body_len", "body_sha256", "body", "protocol", "scheme", "peer",
        "peer_port", "client", "uri", "features"}
FEATURES = {"status", "force", "size", "chunked", "cl", "rh", "sleep", "noread", "readn", "exc", "write", "crash",
            "hint", "trailer"}


@pytest.fixture(scope="module")
def echo(serve_module):
    return serve_module(example("echo"), "-w", "2", "--threads", "2")


def test_it_answers_what_was_asked(echo):
    with echo.connect() as wire:
        response = wire.ask("/a%20b?x=1", method="POST", headers=[("X-One", "1")], body=bytes(range(256)) * 2)
    assert response.header("Content-Type") == "application/json" and response.framing == "length"
    answer = json.loads(response.body)
    assert KEYS <= set(answer)
    assert (answer["method"], answer["path"], answer["query"]) == ("POST", "/a%20b", "x=1")
    assert (answer["uri"], answer["protocol"]) == ("/a%20b?x=1", "HTTP/1.1")
    assert ["X-One", "1"] in answer["headers"] and ["Host", "test"] in answer["headers"]
    assert answer["body_len"] == 512
    assert answer["body_sha256"] == hashlib.sha256(bytes(range(256)) * 2).hexdigest()
    assert answer["body"] == bytes(range(256)).decode("latin-1")


def test_it_names_the_parameters_it_honours(echo):
    features = set(json.loads(echo.get("/").body)["features"])
    assert FEATURES - features <= {"force"}, f"missing: {FEATURES - features}"


def test_size_and_chunked(echo):
    plain, pieces = echo.get("/?size=100000"), echo.get("/?size=100000&chunked=1")
    for response in (plain, pieces):
        assert response.header("Content-Type") == "application/octet-stream" and response.body == b"x" * 100000
    assert (plain.framing, pieces.framing) == ("length", "chunked")
    assert len(pieces.chunks) > 1


def test_rh_adds_fields(echo):
    response = echo.get("/?rh=X-One:1&rh=X-Two:%20b%20c&rh=X-One:2")
    assert response.all("X-One") == ["1", "2"] and [value.strip() for value in response.all("X-Two")] == ["b c"]


@pytest.mark.parametrize("field", ["X-A:a%0D%0AX-Forged:%201", "X-A:a%0Ab", "X-A:a%00b", "X%0D%0AX-Forged:1", "X%20Y:1",
                                   ":1"])
def test_a_field_that_may_not_go_on_the_wire_is_refused(echo, field):
    with echo.connect() as wire:
        response = wire.ask(f"/?rh={field}")
        assert response.status == 500
        assert not response.all("X-Forged") and not response.all("X-A")
        assert b"X-Forged" not in response.body
    assert echo.get("/").status == 200


def test_cl_longer_than_the_body_looks_truncated(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/?cl=5000&size=1000"))
        with pytest.raises(Truncated) as cut:
            wire.response()
        assert cut.value.partial is None or len(cut.value.partial.body) <= 1000
    assert echo.get("/").status == 200


def test_cl_shorter_than_the_body_is_never_exceeded(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/?cl=10&size=1000") + request_bytes("/?size=3"))
        try:
            response = wire.response()
            assert response.status == 500 or response.body == b"x" * 10
            if not response.closes:
                assert wire.response().body == b"xxx"
        except Truncated:
            pass


@pytest.mark.parametrize("status", [100, 101, 199])
def test_an_application_cannot_send_an_interim_status_as_its_answer(echo, status):
    with echo.connect() as wire:
        assert wire.ask(f"/?status={status}").status == 500


def test_sleep_takes_its_time(echo):
    began = time.monotonic()
    assert echo.get("/?sleep=0.5").status == 200
    assert 0.45 < time.monotonic() - began < scaled(5)


def test_noread_and_readn_answer_all_the_same(echo):
    with echo.connect() as wire:
        assert wire.ask("/?noread=1", method="POST", body=b"a" * 300_000).status == 200
        answer = json.loads(wire.ask("/?readn=10", method="POST", body=b"b" * 300_000).body)
        assert answer["body"].startswith("b" * 10)
        assert json.loads(wire.ask("/", method="POST", body=b"after").body)["body"] == "after"


def test_exc_early_is_a_500_and_a_line_in_the_log(echo):
    mark = echo.mark()
    with echo.connect() as wire:
        assert wire.ask("/boom?exc=early").status == 500
    echo.wait_for(r"\[ERROR\].*(/boom|exc)", after=mark)
    assert echo.get("/").status == 200


@pytest.mark.parametrize("how", ["", "&chunked=1", "&write=1"])
def test_exc_late_looks_truncated(echo, how):
    with echo.connect() as wire:
        wire.send(request_bytes(f"/?exc=late&size=100000{how}"))
        with pytest.raises(Truncated):
            response = wire.response()
            assert response.status == 500, "complete, and no error"
            raise Truncated("an honest 500")
    assert echo.get("/").status == 200


def test_exc_late_looks_truncated_to_http_1_0_too(echo):
    """Without a length the end of the connection is the end of the body: only a reset shows the difference."""
    with echo.connect() as wire:
        wire.send(request_bytes("/?exc=late&size=100000&chunked=1", version="1.0"))
        with pytest.raises(Truncated):
            response = wire.response()
            assert response.status == 500, "complete, and no error"
            raise Truncated("an honest 500")


def test_write_sends_piece_by_piece(echo):
    response = echo.get("/?write=1&size=100000")
    assert response.body == b"x" * 100000
    assert KEYS <= set(json.loads(echo.get("/?write=1").body))


def test_crash_takes_one_worker_and_the_other_serves(serve):
    server = serve(example("echo"), "-w", "2")
    before = server.wait_workers(2)
    with server.connect() as wire:
        wire.send(request_bytes("/die?crash=1"))
        with pytest.raises((WireError, OSError)):
            wire.response()
    assert server.get("/").status == 200
    after = eventually_replaced(server, before)
    assert len(set(before) & set(after)) == 1


def eventually_replaced(server, before):
    return eventually("a replacement", lambda: len(server.worker_pids()) == 2 and
                      server.worker_pids() != before and server.worker_pids())
