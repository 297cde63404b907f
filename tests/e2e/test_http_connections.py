"""A connection as a whole: pipelines of thousands, requests byte by byte, answers that are due before something bad,
and what follows Upgrade and CONNECT."""
import json
import threading

import pytest

from server import example
from wire import WireError, request_bytes

MARKER = request_bytes("/marker")


@pytest.fixture(scope="module")
def echo(serve_module):
    return serve_module(example("echo"), "-w", "1", "--threads", "2")


def assert_nothing_more(wire):
    try:
        assert wire.rest() == b"", "something came after the last answer"
    except WireError as error:
        assert getattr(error, "reset", False), error


def path_of(response):
    assert response.status == 200
    return json.loads(response.body)["path"]


@pytest.mark.parametrize("cut", [1448, 65536, 1 << 20])
def test_a_pipeline_of_thousands_is_answered_in_order(echo, cut):
    data = b"".join(request_bytes(f"/{number}") for number in range(5000))
    with echo.connect(timeout=40) as wire:
        def send():
            for at in range(0, len(data), cut):
                wire.sock.sendall(data[at:at + cut])
        wire.sock.settimeout(None)
        sender = threading.Thread(target=send)
        sender.start()  # all of it, whether or not an answer has been read
        assert [path_of(wire.response()) for _ in range(5000)] == [f"/{number}" for number in range(5000)]
        sender.join()


def test_a_pipeline_of_slow_and_quick_whole_and_streamed_answers_is_answered_in_order(echo):
    wishes = ["", "sleep=0.01", "chunked=1", "sleep=0.005&chunked=1"]
    targets = [f"/{number}?{wishes[number % 4]}" for number in range(200)]
    with echo.connect(timeout=40) as wire:
        wire.send(b"".join(map(request_bytes, targets)))
        assert [path_of(wire.response()) for _ in targets] == [target.partition("?")[0] for target in targets]


def test_requests_that_arrive_byte_by_byte_are_answered(echo):
    data = (request_bytes("/one?x", headers=[("X-A", "b")]) + request_bytes("/two", method="POST", body=b"hello") +
            request_bytes("/three", method="POST", headers=[("Transfer-Encoding", "chunked")],
                          body=b"5;a=\"b\"\r\nhello\r\n0\r\nX: t\r\n\r\n") + request_bytes("/four"))
    with echo.connect() as wire:
        for byte in data:
            wire.send(bytes([byte]))
        answers = [json.loads(wire.response().body) for _ in range(4)]
    assert [answer["path"] for answer in answers] == ["/one", "/two", "/three", "/four"]
    assert [answer["body"] for answer in answers] == ["", "hello", "hello", ""]


def test_trailers_of_a_request_never_become_its_fields(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked"), ("Trailer", "X-Late")],
                                body=b"5\r\nhello\r\n0\r\nX-Late: 1\r\nCookie: a=b\r\n\r\n") + MARKER)
        answer = json.loads(wire.response().body)
        assert answer["body"] == "hello"
        assert [name for name, _ in answer["headers"]] == ["Host", "Transfer-Encoding", "Trailer"]
        assert path_of(wire.response()) == "/marker"


# ---- answers that are due are never lost ----
BAD = {"nonsense": b"GARBAGE\r\n\r\n", "a bad field": b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
       "a large field": b"GET / HTTP/1.1\r\nX: " + b"x" * 9000,
       "a bad chunk": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"}
DUE = {"slow": "/?size=70000&sleep=0.1", "streamed": "/?size=70000&chunked=1", "written": "/?size=70000&write=1",
       "slow and streamed": "/?size=70000&chunked=1&sleep=0.1", "large": "/?size=6000000",
       "large and streamed": "/?size=6000000&chunked=1"}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("due", DUE)
def test_an_answer_that_is_due_is_whole_whatever_follows_its_request(echo, due, bad):
    with echo.connect(timeout=40) as wire:
        wire.send(request_bytes(DUE[due]) + BAD[bad] + MARKER * 3)
        response = wire.response()
        assert response.status == 200 and len(response.body) == int(DUE[due].split("size=")[1].split("&")[0])
        refusal = wire.response()
        assert refusal.status in (400, 431) and refusal.closes
        assert_nothing_more(wire)


@pytest.mark.parametrize("bad", BAD)
def test_a_deferred_answer_that_is_due_is_whole_whatever_follows_its_request(serve, bad):
    server = serve(example("clock"), "-w", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/?n=4&ms=30") + BAD[bad] + MARKER)
        stream = wire.response()
        assert stream.status == 200 and stream.body.count(b"data: ") >= 4
        assert wire.response().status in (400, 404, 431)
        assert_nothing_more(wire)


def test_a_half_closed_client_gets_its_answer_and_the_refusal_after_it(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/?size=3&sleep=0.2") + b"GARBAGE\r\n\r\n")
        wire.shut_down_writing()
        assert wire.response().body == b"xxx"
        assert wire.response().status == 400
        assert wire.end() == "eof"


def test_a_refusal_reaches_a_client_that_goes_on_sending(echo):
    """The connection lingers: if it were closed at once, its reset would overtake the answer."""
    with echo.connect() as wire:
        wire.send(b"GARBAGE\r\n\r\n")
        for _ in range(50):
            wire.send(b"x" * 4000)
        assert wire.response().status == 400


# ---- Upgrade and CONNECT ----
@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.0", "a/1, b", "HTTP/2.0"])
def test_after_an_upgrade_that_is_not_accepted_comes_the_next_request(echo, protocol):
    with echo.connect() as wire:
        wire.send(request_bytes("/one", headers=[("Connection", "Upgrade"), ("Upgrade", protocol)]) + MARKER)
        first = wire.response()
        assert path_of(first) == "/one" and first.header("Upgrade") is None and not first.closes
        assert path_of(wire.response()) == "/marker"


def test_an_upgrade_with_a_body_is_a_request_with_a_body(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/one", method="POST", headers=[("Connection", "Upgrade"), ("Upgrade", "x")],
                                body=b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n") + MARKER)
        assert json.loads(wire.response().body)["body"].startswith("GET /smuggled")
        assert path_of(wire.response()) == "/marker"


def test_an_application_cannot_switch_protocols(echo):
    with echo.connect() as wire:
        response = wire.ask("/?status=101&rh=Upgrade:x", headers=[("Connection", "Upgrade"), ("Upgrade", "x")])
        assert response.status == 500


@pytest.mark.parametrize("behind", [MARKER, b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_bytes_after_connect_are_never_a_request(echo, behind, version):
    with echo.connect() as wire:
        connect = request_bytes("t:443", method="CONNECT", version=version, host="t:443")
        wire.send(request_bytes("/first") + connect + behind)
        assert path_of(wire.response()) == "/first"
        response = wire.response()
        assert response.status == 501 and response.closes
        assert_nothing_more(wire)
