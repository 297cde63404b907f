"""A refusal says why in a few plain words, and the access log has a line for it as for any other request."""
import re

import pytest

from clock import eventually, holds_for
from server import example
from wire import request_bytes

FORMAT = '%(h)s|%(r)s|%(s)s|%(b)s|%(m)s %(U)s %(q)s %(H)s|%(f)s %(a)s'
LONG = b"GET /" + b"a" * 4100 + b" HTTP/1.1"
POST = b"POST /up HTTP/1.1\r\nHost: t\r\n"

# name: (bytes, status, the access line's %(r)s or the start of it, a word of the answer's body)
REFUSED = {
    "a long request line": (LONG + b"\r\nHost: t\r\n\r\n", 414, LONG.decode(), "request line"),
    "an endless request line": (LONG + b"a" * 50, 414, "-", "request line"),
    "a large field": (b"GET /f HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 9000, 431, "GET /f HTTP/1.1", "field line"),
    "many fields": (b"GET /n HTTP/1.1\r\nHost: t\r\n" + b"X: x\r\n" * 100 + b"\r\n", 431, "GET /n HTTP/1.1", "fields"),
    "a large body": (POST + b"Content-Length: 1001\r\n\r\n", 413, "POST /up HTTP/1.1", "limit_request_body"),
    "a body that grows too large": (POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx",
                                    413, "POST /up HTTP/1.1", "limit_request_body"),
    "an unknown coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "POST /up HTTP/1.1", "coding"),
    "an unknown method": (b"get / HTTP/1.1\r\nHost: t\r\n\r\n", 501, "get / HTTP/1.1", "method"),
    "CONNECT": (b"CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", 501, "CONNECT t:443 HTTP/1.1", "CONNECT"),
    "an expectation": (POST + b"Expect: tea\r\n\r\n", 417, "POST /up HTTP/1.1", "expectation"),
    "another version": (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505, "-", "version"),
    "no Host": (b"GET /h?q HTTP/1.1\r\nReferer: r\r\nUser-Agent: u\r\n\r\n", 400, "GET /h?q HTTP/1.1", "Host"),
    "a method alone": (b"GET\r\n\r\n", 400, "-", "without a target"),
    "no HTTP": (b"\x01\x02", 400, "-", "control byte"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", 400, "-", "the client speaks TLS to a port that serves plain HTTP"),
    "one byte of TLS": (b"\x16", 400, "-", "the client speaks TLS"),
    "not quite TLS": (b"\x16\x04", 400, "-", "control byte"),
    "a bad chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400, "POST /up HTTP/1.1", "chunk size"),
    "quotes": (b'GET /"\\ HTTP/1.1\r\n\r\n', 400, r'GET /\"\\ HTTP/1.1', "Host"),
    "nothing mounted there": (b"POST /elsewhere HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", 404,
                              "POST /elsewhere HTTP/1.1", "no application"),
    "a slow head": (b"GET /slow HTTP/1.1\r\nHost:", 408, "GET /slow HTTP/1.1", "head took too long"),
    "a slow request line": (b"GET /slow", 408, "-", "head took too long"),
    "a slow body": (POST + b"Content-Length: 9\r\n\r\nx", 408, "POST /up HTTP/1.1", "body stopped"),
}


@pytest.fixture(scope="module", params=["echo", "echo-stream"])
def logged(serve_module, request, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "access.log"
    config = (f"limit_request_body: 1000\nheader_timeout: 1\nbody_timeout: 1\naccess_log_format: '{FORMAT}'\n"
              f"routes:\n" + "".join(f"  - {{prefix: {prefix}, app: {example(request.param)}}}\n"
                                     for prefix in ("/up", "/f", "/n", "/h", "/slow")))
    server = serve_module("-w", "1", "--access-logfile", path, config=config)

    def lines():
        return path.read_text().splitlines() if path.exists() else []

    def new_line(before):
        """The one line that came since there were `before`."""
        eventually("the access line", lambda: len(lines()) > before)
        holds_for("one line and no more", lambda: len(lines()) == before + 1, 0.03)
        return lines()[before]
    server.lines, server.new_line = lines, new_line
    return server


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_says_why_and_is_logged_once(logged, name):
    data, status, request, word = REFUSED[name]
    before, mark = len(logged.lines()), logged.mark()
    with logged.connect() as wire:
        wire.send(data)
        response = wire.response()
        assert response.status == status and response.closes
        assert response.header("Content-Type") == "text/plain" and response.header("Date")
        assert word in response.text and response.text.endswith("\n") and len(response.text) < 80
        assert response.text[:-1].isprintable()
        line = logged.new_line(before)
    peer, logged_request, logged_status, size, parts, fields = line.rsplit("|", 5)
    assert (peer, logged_status, size) == ("127.0.0.1", str(status), str(len(response.body)))
    assert logged_request == request
    if request == "-":
        assert parts == "- -  -"
    if status != 404:  # which is not a mistake of the client
        warning = r"\[WARNING\] Invalid request from ip=127\.0\.0\.1: " + re.escape(response.text[:-1])
        logged.wait_for(warning, after=mark)


def test_what_was_well_formed_of_a_refused_request_names_its_target_and_query(logged):
    before = len(logged.lines())
    with logged.connect() as wire:
        wire.send(REFUSED["no Host"][0])
        assert wire.response().status == 400
    assert logged.new_line(before).split("|")[4] == "GET /h q HTTP/1.1"


@pytest.mark.parametrize("data", [b"HEAD /h HTTP/1.1\r\n\r\n", b"HEAD /a\x7f HTTP/1.1\r\n\r\n",
                                  b"HEAD / HTTP/2.0\r\n\r\n", b"HEAD /" + b"a" * 5000,
                                  b"HEAD /elsewhere HTTP/1.1\r\nHost: t\r\n\r\n"])
def test_a_refused_head_request_gets_no_body(logged, data):
    before = len(logged.lines())
    with logged.connect() as wire:
        wire.send(data)
        response = wire.response("HEAD")
        assert response.status in (400, 404, 414, 505) and int(response.header("Content-Length")) > 0
        if response.closes:
            assert wire.rest() == b""
        else:
            assert wire.quiet_for(0.1)
    assert logged.new_line(before).split("|")[3] == "0"


def test_a_silent_connection_is_not_a_request_and_leaves_no_line(logged):
    before = len(logged.lines())
    with logged.connect() as wire:
        assert wire.end() == "eof"  # after header_timeout
    with logged.connect() as wire:
        wire.send(b"GET / HT")
        wire.shut_down_writing()
        assert wire.end() == "eof"
    assert len(logged.lines()) == before


@pytest.mark.parametrize("body", [b"Content-Length: 9\r\n\r\nhello",
                                  b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"])
def test_a_body_that_breaks_off_is_not_a_request(serve, tmp_path, body):
    path = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "1", "--access-logfile", path, "--access-logformat", "%(U)s")
    with server.connect() as wire:
        wire.send(request_bytes("/whole") + POST + body)
        assert wire.response().status == 200
        wire.shut_down_writing()
        assert wire.end() == "eof"
    assert server.get("/last").status == 200
    eventually("the last line", lambda: path.exists() and "/last" in path.read_text())
    assert path.read_text() == "/whole\n/last\n"


def test_a_body_that_no_handler_would_read_is_not_asked_for(logged):
    before = len(logged.lines())
    with logged.connect() as wire:
        wire.send(request_bytes("/elsewhere", method="POST",
                                headers=[("Expect", "100-continue"), ("Content-Length", "5")]))
        response = wire.response(interim=True)
        assert response.status == 404 and response.closes
        assert wire.rest() == b""
    assert logged.new_line(before).split("|")[2] == "404"


def test_a_body_refused_after_the_answers_head_cuts_that_answer_and_is_logged(serve, tmp_path):
    """A second head would look like more of the body."""
    path = tmp_path / "access.log"
    server = serve(example("echo-stream"), "-w", "1", "--access-logfile", path, "--access-logformat", "%(r)s %(s)s")
    with server.connect(receive_buffer=8192) as wire:
        wire.send(b"POST /?noread=1&chunked=1&size=30000000 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert wire.head().status == 200
        wire.send(b"nonsense")
        line = eventually("the line", lambda: path.exists() and path.read_text())
        try:
            rest = wire.rest()
        except Exception as error:
            assert getattr(error, "reset", False), error
            rest = bytes(wire.buffer)
        assert not rest.endswith(b"0\r\n\r\n") and b"HTTP/1.1 400" not in rest
    assert line == "POST /?noread=1&chunked=1&size=30000000 HTTP/1.1 400\n"


def test_requests_that_were_answered_before_keep_their_lines(logged):
    before = len(logged.lines())
    with logged.connect() as wire:
        wire.send(request_bytes("/h?1") + request_bytes("/h?2&chunked=1&size=9") + b"GARBAGE\r\n\r\n")
        assert [wire.response().status for _ in range(3)] == [200, 200, 400]
    eventually("three lines", lambda: len(logged.lines()) == before + 3)
    assert [line.split("|")[1] for line in logged.lines()[before:]] == \
        ["GET /h?1 HTTP/1.1", "GET /h?2&chunked=1&size=9 HTTP/1.1", "-"]
