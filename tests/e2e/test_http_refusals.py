"""What is refused, with which status, and that nothing after a refused request is ever served."""
import pytest

from server import example
from wire import WireError, request_bytes


@pytest.fixture(scope="module")
def echo(serve_module):
    return serve_module(example("echo"), "-w", "1")


def refusal(server, data, timeout=10):
    """The status that raw bytes are refused with; the connection must end after it, with no second response."""
    with server.connect(timeout) as wire:
        wire.send(data)
        response = wire.response()
        assert response.closes
        try:
            assert wire.rest() == b"", "something came after the refusal"
        except WireError as error:
            assert getattr(error, "reset", False), error
        return response.status


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"
AMBIGUOUS = {
    "both lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, other order":
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two different lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5, 6\r\n\r\nhello",
    "a signed length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\nhello",
    "a negative length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\nhello",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0x5\r\n\r\nhello",
    "an overflowing length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    "an empty length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\nhello",
    "chunked in 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost: t\r\nX-A : 1\r\n\r\n",
    "an empty name": b"GET / HTTP/1.1\r\nHost: t\r\n: 1\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: t\r\nX-A: 1\r\n folded\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: t\n\n",
    "CR inside a value": b"GET / HTTP/1.1\r\nHost: t\r\nX-A: \rxTransfer-Encoding: chunked\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: t\r\nX-A: a\0b\r\n\r\n",
    "NUL in the target": b"GET /a\0b HTTP/1.1\r\nHost: t\r\n\r\n",
    "a control byte in the target": b"GET /a\x1bb HTTP/1.1\r\nHost: t\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a Host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "another protocol": b"GET /a RTSP/1.0\r\nHost: t\r\n\r\n",
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and more of it\r\n\r\n",
    "asterisk outside OPTIONS": b"GET * HTTP/1.1\r\nHost: t\r\n\r\n",
    "a relative target": b"GET a HTTP/1.1\r\nHost: t\r\n\r\n",
    "a chunk size that is not a number":
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
    "a chunk that is too long":
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    "an overflowing chunk size":
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_refused_with_400_and_nothing_after_it_is_served(echo, name):
    assert refusal(echo, AMBIGUOUS[name] + SMUGGLED) == 400


def test_another_transfer_coding_is_not_implemented(echo):
    assert refusal(echo, b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: pigeons, chunked\r\n\r\n") in (400, 501)


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.0"])
def test_other_versions_are_not_supported(echo, version):
    assert refusal(echo, f"GET / HTTP/{version}\r\nHost: t\r\n\r\n".encode()) in (400, 505)


def test_a_good_request_before_a_bad_one_is_answered(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/?size=3") + b"GARBAGE\r\n\r\n")
        assert wire.response().body == b"xxx"
        assert wire.response().status == 400


# ---- limits ----
def test_a_request_line_up_to_the_limit(echo):
    line = b"GET /%s HTTP/1.1" % (b"a" * (4094 - len("GET / HTTP/1.1")))
    with echo.connect() as wire:
        wire.send(line + b"\r\nHost: t\r\n\r\n")
        assert wire.response().status == 200
    assert refusal(echo, line.replace(b"/a", b"/aaaa") + b"\r\nHost: t\r\n\r\n") == 414


def test_a_request_line_without_end_is_refused_before_it_ends(echo):
    assert refusal(echo, b"GET /" + b"a" * 100_000) == 414


def test_field_sizes_up_to_the_limit(echo):
    assert echo.get("/", headers=[("X-A", "a" * 8000)]).status == 200
    assert refusal(echo, request_bytes("/", headers=[("X-A", "a" * 8300)])) == 431


def test_a_field_without_end_is_refused_before_it_ends(echo):
    assert refusal(echo, b"GET / HTTP/1.1\r\nHost: t\r\nX-A: " + b"a" * 1_000_000) == 431


def test_the_number_of_fields_is_limited(echo):
    fields = [(f"X-{number}", "1") for number in range(98)]  # with Host and Connection: 100
    assert echo.get("/", headers=fields).status == 200
    assert refusal(echo, request_bytes("/", headers=[(f"X-{number}", "1") for number in range(100)])) == 431


def test_limits_are_settings(serve):
    server = serve(example("echo"), "--limit-request-line", "100", "--limit-request-fields", "3",
                   "--limit-request-field_size", "50")
    assert server.get("/").status == 200
    assert refusal(server, request_bytes("/" + "a" * 100)) == 414
    assert refusal(server, request_bytes("/", headers=[("A", "1"), ("B", "2"), ("C", "3")])) == 431
    assert refusal(server, request_bytes("/", headers=[("A", "1" * 60)])) == 431


def test_a_body_over_the_limit_is_refused_before_it_comes(serve):
    server = serve(example("echo"), config="limit_request_body: 1000\n")
    assert server.get("/", method="POST", body=b"a" * 1000).status == 200
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "1001")]))
        assert wire.response().status == 413
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                                body=b"3e9\r\n" + b"a" * 1001))
        assert wire.response().status == 413
    with server.connect() as wire:  # the size of a chunk is enough
        wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                                body=b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\n"))
        assert wire.response().status == 413


def test_a_body_over_the_limit_gets_no_continue(serve):
    server = serve(example("echo"), config="limit_request_body: 1000\n")
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "1001"), ("Expect", "100-continue")]))
        assert wire.response(interim=True).status == 413
