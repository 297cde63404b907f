"""What an application may answer, and what is sent: fields, framing, files, interim answers, trailers."""
import os
import time

import pytest

from clock import eventually
from server import example, test_plugin
from wire import Truncated, WireError, request_bytes

TE = [("TE", "trailers")]


@pytest.fixture(scope="module")
def echo(serve_module):
    return serve_module(example("echo"), "-w", "1", "--threads", "2")


@pytest.fixture(scope="module", params=["answers", "answers_inline"])
def answers(request, serve_module):
    return serve_module(test_plugin(request.param), "-w", "1", "--threads", "2", "--timeout", "2")


@pytest.fixture(autouse=True)
def _no_codes_left(request):
    if "answers" in request.fixturenames:
        codes(request.getfixturevalue("answers"))


def codes(server):
    """The host's return values for the plugin in the previous request: [("start", 0), ...]."""
    text = server.get("/codes").text
    return [(word.split()[0], int(word.split()[1])) for word in text.split(", ")] if text else []


OK, ERROR, STATE, REFUSED = 0, -1, -4, -5


# ---- names and values ----
@pytest.mark.parametrize("field, named", [
    ("X-A:a%0D%0AX-Forged:%201", "X-A"), ("X-A:a%0Db", "X-A"), ("X-A:a%0Ab", "X-A"), ("X-A:a%00b", "X-A"),
    ("X-A:a%01b", "X-A"), ("X-A:a%7Fb", "X-A"), ("X-A:a%0D%0A%20folded", "X-A"),
    ("X-B%0D%0AX-Forged:1", r"X-B\\r\\nX-Forged"),
    ("X%20C:1", "X C"), ("X-D%00:1", r"X-D\\x00"), ("X-E%09:1", r"X-E\\t"), ("X-%C3%A4:1", "X-"), (":1", ""),
])
def test_a_field_that_may_not_go_on_the_wire_is_a_500_and_a_line_that_names_it(echo, field, named):
    mark = echo.mark()
    with echo.connect() as wire:
        response = wire.ask(f"/there?rh=X-Fine:1&rh={field}")
        assert response.status == 500 and not response.all("X-Fine") and not response.all("X-Forged")
        assert wire.ask("/?size=1").body == b"x"
    echo.wait_for(rf"\[ERROR\] GET /there\S*: refused in an answer: .*: '{named}", after=mark)


@pytest.mark.parametrize("value, sent", [("caf%C3%A9", "caf\xc3\xa9"), ("a%09b", "a\tb"), ("", ""),
                                         ("%80%FF", "\x80\xff")])
def test_values_may_hold_any_byte_but_control_bytes(echo, value, sent):
    assert echo.get(f"/?rh=X-A:{value}").header("X-A") == sent


@pytest.mark.parametrize("field", ["Connection:close", "Connection:X-Kept", "Keep-Alive:timeout=5",
                                   "Proxy-Connection:x", "TE:trailers", "Trailer:X-Sum", "Transfer-Encoding:gzip",
                                   "Upgrade:h2c", "transfer-encoding:chunked", "CONNECTION:upgrade"])
def test_what_concerns_one_connection_is_the_hosts_to_say(echo, field):
    with echo.connect() as wire:
        response = wire.ask(f"/?size=3&rh={field}&rh=X-Kept:1")
        assert (response.status, response.body, response.header("X-Kept")) == (200, b"xxx", "1")
        assert response.header(field.split(":")[0]) is None and response.header("Content-Length") == "3"
        assert wire.ask("/?size=1").body == b"x"


def test_426_says_what_to_upgrade_to(echo):
    with echo.connect() as wire:
        response = wire.ask("/?status=426&size=1&rh=Upgrade:TLS/1.2")
        assert (response.header("Upgrade"), response.header("Connection")) == ("TLS/1.2", "upgrade")
        response = wire.ask("/?status=426&size=1&rh=Upgrade:TLS/1.2", headers=[("Connection", "close")])
        assert response.header("Connection") == "close, upgrade"
        assert wire.end() == "eof"


# ---- how long it is ----
FRAMED = [
    # the plugin's arguments: the framing, Content-Length and body that arrive
    ("size=4&body=abcd", "length", "4", b"abcd"),
    ("size=0", "length", "0", b""),
    ("size=-1&body=abcd", "chunked", None, b"abcd"),
    ("size=-1", "chunked", None, b""),
    ("size=-1&cl=4&body=abcd", "length", "4", b"abcd"),  # the field gives the length that body_size does not
    ("size=4&cl=9&body=abcd", "length", "4", b"abcd"),   # body_size takes precedence over the field
    ("status=204&size=4&body=abcd", "none", None, b""),
    ("status=204&size=-1&cl=4&body=abcd", "none", None, b""),
    ("status=304&size=-1&body=abcd", "none", None, b""),
    ("status=304&size=0&cl=70", "none", "70", b""),      # what GET would have got
    ("status=205&size=4&body=abcd", "length", "0", b""),
    ("status=205&size=-1&body=abcd", "length", "0", b""),
]


@pytest.mark.parametrize("said, framing, length, body", FRAMED)
def test_a_response_is_framed_one_way(answers, said, framing, length, body):
    with answers.connect() as wire:
        response = wire.ask(f"/framed?{said}")
        assert (response.framing, response.header("Content-Length"), response.body) == (framing, length, body)
        assert wire.ask("/codes").text.endswith("finish 0")  # the next response begins where this one ends


@pytest.mark.parametrize("said, length", [("size=4&body=abcd", "4"), ("size=-1&body=abcd", None), ("size=0", None),
                                          ("size=0&cl=70", "70"), ("size=-1&cl=70", "70"), ("size=4&cl=70", "4"),
                                          ("size=70", "70")])
def test_head_gets_the_length_that_get_would_get_or_none(answers, said, length):
    with answers.connect() as wire:
        assert wire.ask(f"/framed?{said}", method="HEAD").header("Content-Length") == length
        assert wire.ask("/codes").text.endswith("finish 0")


@pytest.mark.parametrize("said, length", [("body=abcd", "4"), ("body=abcd&cl=70", "4"), ("", None), ("cl=70", "70")])
def test_head_answered_in_one_call_too(answers, said, length):
    with answers.connect() as wire:
        assert wire.ask(f"/whole?{said}", method="HEAD").header("Content-Length") == length
        assert wire.ask("/whole?body=ok&cl=1").body == b"ok"


@pytest.mark.parametrize("status, length", [(304, None), (204, None), (205, "0")])
def test_a_body_given_where_none_may_be_is_dropped(answers, status, length):
    with answers.connect() as wire:
        response = wire.ask(f"/whole?body=abcd&status={status}")
        assert response.header("Content-Length") == length and response.header("Transfer-Encoding") is None
        assert wire.ask("/whole?body=ok").body == b"ok"


@pytest.mark.parametrize("length", ["", "x", "-1", "1e3", "0x10", "4,4", "99999999999999999999"])
def test_a_length_that_is_not_a_number_is_refused(answers, length):
    mark = answers.mark()
    assert answers.get(f"/framed?size=-1&cl={length}&body=abcd").status == 500
    assert codes(answers) == [("start", REFUSED)]
    answers.wait_for(r"\[ERROR\] GET /framed.*Content-Length", after=mark)


def test_content_length_is_never_exceeded(answers):
    with answers.connect() as wire:
        wire.send(request_bytes("/framed?size=2&body=abcd"))
        with pytest.raises(Truncated) as cut:  # "a" was sent; "bcd" would have been too much, and was refused as a whole
            wire.response()
        assert cut.value.partial is None or cut.value.partial.body in (b"", b"a")
    assert codes(answers) == [("start", OK), ("write", OK), ("write", STATE), ("finish", STATE)]


@pytest.mark.parametrize("said", ["size=9&body=abcd", "size=-1&cl=9&body=abcd"])
def test_a_response_short_of_its_length_is_cut_and_said(answers, said):
    mark = answers.mark()
    with answers.connect() as wire:
        wire.send(request_bytes(f"/framed?{said}"))
        with pytest.raises(Truncated):
            wire.response()
    answers.wait_for(r"\[ERROR\] GET /framed\S*: the response is 5 bytes short", after=mark)


@pytest.mark.parametrize("how", ["size=100000", "size=100000&write=1", "size=100000&chunked=1"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_handler_that_fails_midway_looks_so(echo, how, version):
    mark = echo.mark()
    with echo.connect() as wire:
        wire.send(request_bytes(f"/?exc=late&{how}", version=version))
        with pytest.raises(Truncated) as cut:
            response = wire.response()
            raise AssertionError(f"complete: {response.status} {len(response.body)}")
        assert cut.value.reset, "an end of file would be the end of the body to HTTP/1.0"
    echo.wait_for(r"\[ERROR\] GET /\?exc=late\S*: exc=late", after=mark)


# ---- connections ----
@pytest.mark.parametrize("version, said, target, kept", [
    ("1.1", None, "/?size=3", True), ("1.1", "close", "/?size=3", False), ("1.1", None, "/?size=3&chunked=1", True),
    ("1.1", "keep-alive", "/?size=3", True), ("1.1", "close, keep-alive", "/?size=3", False),
    ("1.0", None, "/?size=3", False), ("1.0", "keep-alive", "/?size=3", True), ("1.0", "Keep-Alive", "/?size=3", True),
    ("1.0", "keep-alive", "/?size=3&chunked=1", False), ("1.0", "keep-alive", "/?size=3&write=1", True),
    ("1.0", "keep-alive", "/?status=204", True), ("1.0", "keep-alive", "/?status=304", True),
])
def test_a_connection_is_kept_when_both_can(echo, version, said, target, kept):
    with echo.connect() as wire:
        response = wire.ask(target, version=version, headers=[("Connection", said)] if said else [])
        assert response.closes == (not kept) and response.version == "1.1"
        if version == "1.0":
            assert response.header("Connection") == ("keep-alive" if kept else None)
            assert response.header("Transfer-Encoding") is None
        else:
            assert response.header("Connection") == (None if kept else "close")
        if kept:
            assert wire.ask("/?size=1", version=version).body == b"x"
        else:
            assert wire.end() == "eof"


# ---- files ----
@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "big"
    path.write_bytes(bytes(range(256)) * 40_000)
    return path


@pytest.mark.parametrize("size", ["", "&size=-1"])
@pytest.mark.parametrize("offset, length", [(0, 10_240_000), (0, 0), (1, 1), (777, 1_000_000), (10_239_999, 1)])
def test_a_part_of_a_file_is_sent(answers, big_file, offset, length, size):
    with answers.connect(timeout=40) as wire:
        response = wire.ask(f"/file?file={big_file}&offset={offset}&length={length}{size}")
        assert response.framing == ("chunked" if size else "length")
        assert response.body == big_file.read_bytes()[offset:offset + length]
        assert wire.ask("/codes").text == "start 0, send_file 0, finish 0"


def test_a_slow_reader_gets_the_whole_file(answers, big_file):
    with answers.connect(timeout=40, receive_buffer=8192) as wire:
        wire.send(request_bytes(f"/file?file={big_file}&length=10240000"))
        response = wire.head()
        time.sleep(0.2)  # the socket is probably full now: the rest takes another path
        assert response.header("Content-Length") == "10240000"
        got = bytearray(wire.buffer)
        while len(got) < 10_240_000:
            data = wire.sock.recv(20_000)
            assert data
            got += data
        assert got == big_file.read_bytes()


@pytest.mark.parametrize("what", ["how=bad", "how=pipe", "how=folder", "how=writeonly", "offset=10240000", "offset=-1",
                                  "length=-1&size=5", "length=10240001&size=10240001"])
def test_what_cannot_be_sent_is_an_error_and_no_silent_end(answers, big_file, what):
    mark = answers.mark()
    length = "" if "length" in what else "&length=5"
    with answers.connect() as wire:
        wire.send(request_bytes(f"/file?file={big_file}&{what}{length}"))
        with pytest.raises(Truncated):
            wire.response()
    assert codes(answers) == [("start", OK), ("send_file", ERROR), ("finish", STATE)]
    answers.wait_for(r"\[ERROR\] GET /file\S*: send_file: ", after=mark)


@pytest.mark.parametrize("size", ["", "&size=-1"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_file_that_shrinks_while_it_is_sent_cuts_the_response_visibly(answers, tmp_path, version, size):
    path = tmp_path / "shrinks"
    path.touch()
    os.truncate(path, 64_000_000)  # more than the kernel buffers
    mark = answers.mark()
    with answers.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes(f"/file?file={path}&length=64000000&shrink=1000{size}", version=version))
        eventually("the file cut", lambda: path.stat().st_size == 1000)
        with pytest.raises(Truncated) as cut:
            wire.response()
        assert cut.value.reset
    answers.wait_for(r"\[ERROR\] the response to 127\.0\.0\.1 is cut off, \d+ bytes before its end: the file ", after=mark)


# ---- interim answers ----
def interim_and_final(wire, method="GET"):
    found = []
    while (response := wire.response(method, interim=True)).status < 200:
        found.append((response.status, response.headers))
    return found, response


HINTS = [(103, [("Link", "</one.css>")]), (102, [("X-At", "half")]), (103, [("Link", "</two.css>")])]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target, body", [("/inform", b"now"), ("/inform?ms=50", b"now"), ("/inform-later", b"late"),
                                          ("/inform-later?ms=50", b"late")])
def test_interim_answers_come_before_the_final_one_from_any_thread(answers, target, body, method):
    with answers.connect() as wire:
        for _ in range(3):
            wire.send(request_bytes(target, method=method))
            interim, response = interim_and_final(wire, method)
            assert interim == HINTS
            assert (response.status, response.body) == (200, body if method == "GET" else b"")
            assert codes(answers) == [("inform", OK)] * 3


def test_interim_answers_are_sent_at_once(answers):
    with answers.connect() as wire:
        wire.send(request_bytes("/inform?ms=1000"))
        began = time.monotonic()
        assert [wire.head().status for _ in range(2)] == [103, 102]
        assert time.monotonic() - began < 0.9
        assert interim_and_final(wire)[1].body == b"now"


def test_interim_answers_keep_their_place_in_a_pipeline(answers):
    with answers.connect() as wire:
        wire.send(request_bytes("/inform") + request_bytes("/inform-later") + request_bytes("/inform?ms=20") +
                  request_bytes("/whole?body=last"))
        for body in (b"now", b"late", b"now"):
            interim, response = interim_and_final(wire)
            assert interim == HINTS and response.body == body
        assert wire.response(interim=True).body == b"last"


@pytest.mark.parametrize("target, body", [("/inform", b"now"), ("/inform-later", b"late")])
def test_http_1_0_gets_the_final_answer_alone(answers, target, body):
    with answers.connect() as wire:
        wire.send(request_bytes(target, version="1.0"))
        response = wire.response(interim=True)
        assert (response.status, response.body) == (200, body)
    assert codes(answers) == [("inform", OK)] * 3


def test_what_may_not_be_an_interim_answer_is_refused_and_the_final_one_goes_on(answers):
    mark = answers.mark()
    with answers.connect() as wire:
        wire.send(request_bytes("/inform-wrongly"))
        interim, response = interim_and_final(wire)
        assert interim == [(103, [])] and response.body == b"ok"
    assert codes(answers) == [("inform", REFUSED)] * 6 + [("inform", OK), ("start", OK), ("inform", STATE),
                                                         ("write", OK), ("finish", OK)]
    answers.wait_for(r"\[ERROR\] GET /inform-wrongly: refused in an answer: .*: 'X-Forged'", after=mark)


def test_after_an_interim_answer_a_failure_is_still_a_proper_500(answers):
    with answers.connect() as wire:
        wire.send(request_bytes("/inform-and-fail"))
        interim, response = interim_and_final(wire)
        assert interim == HINTS and response.status == 500
        assert wire.ask("/whole?body=ok").body == b"ok"


def test_an_interim_answer_does_not_stop_the_deadline(answers):
    """A deferred answer that has begun may take any time; an interim answer does not count as its beginning."""
    with answers.connect() as wire:
        wire.send(request_bytes("/inform-later?silent=4000"))
        interim, response = interim_and_final(wire)
        assert interim == HINTS and response.status == 504
        assert wire.end() == "eof"


def test_echo_sends_hints(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/?size=2&hint=Link:%3C/a%3E&hint=Connection:close&hint=X:b%0D%0Ac"))
        interim, response = interim_and_final(wire)
        assert interim == [(103, [("Link", "</a>")]), (103, [])] and response.body == b"xx"


# ---- trailers ----
def test_trailers_reach_a_client_that_takes_them(answers):
    mark = answers.mark()
    with answers.connect() as wire:
        response = wire.ask("/trailers", headers=TE)
        assert (response.framing, response.body) == ("chunked", b"body")
        assert response.header("Trailer") == "X-Sum, X-More"
        assert response.trailers == [("X-Sum", "before the body"), ("X-More", "after it")]
        assert wire.ask("/whole?body=ok").body == b"ok"
    assert codes(answers)[:6] == [("trailers", STATE), ("start", OK), ("trailers", OK), ("write", OK), ("trailers", OK),
                                  ("trailers", REFUSED)]
    answers.wait_for(r"\[ERROR\] GET /trailers: refused in an answer: .*: 'Content-Length'", after=mark)
    answers.wait_for(r"\[ERROR\] GET /trailers: refused in an answer: .*: 'X-Forged'", after=mark)


UNHEARD = [("/trailers", {}), ("/trailers", {"headers": [("TE", "deflate, x-trailers")]}),
           ("/trailers", {"headers": TE, "method": "HEAD"}), ("/trailers", {"headers": TE, "version": "1.0"}),
           ("/trailers?status=204", {"headers": TE}), ("/trailers?status=304", {"headers": TE})]


@pytest.mark.parametrize("target, how", UNHEARD)
def test_trailers_are_dropped_if_the_client_would_not_see_them(answers, target, how):
    with answers.connect() as wire:
        response = wire.ask(target, **how)
        assert response.trailers == [] and response.header("Trailer") is None
        if "version" not in how:
            assert wire.ask("/whole?body=ok").body == b"ok"
    assert codes(answers)[-1] == ("respond" if "version" not in how else "finish", OK)


def test_a_trailer_field_is_dropped_from_a_response_of_known_length(answers):
    with answers.connect() as wire:
        response = wire.ask("/trailers?size=4", headers=TE)
        assert (response.framing, response.body, response.header("Trailer")) == ("length", b"body", None)
        assert wire.ask("/whole?body=ok").body == b"ok"


@pytest.mark.parametrize("te", ["trailers", "Trailers", "gzip;q=0.5, trailers", "trailers ,deflate"])
def test_te_may_name_more_than_trailers(echo, te):
    with echo.connect() as wire:
        wire.send(request_bytes("/?size=2&trailer=X-Sum:7", headers=[("TE", te)]))
        wire.takes_trailers = True
        response = wire.response()
        assert response.trailers == [("X-Sum", "7")] and response.header("Trailer") == "X-Sum"


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Host", "Set-Cookie", "Authorization",
                                  "Trailer", "Content-Type", "Cache-Control", "Connection", "If-Match", "Location"])
def test_a_field_that_means_nothing_after_a_body_is_refused_there(echo, name):
    with echo.connect() as wire:
        wire.send(request_bytes(f"/?size=2&trailer={name}:1", headers=TE))
        with pytest.raises(Truncated):  # its head had been sent when the application failed because of it
            wire.response()


# ---- trailers of a request ----
@pytest.mark.parametrize("name", ["Host", "Content-Length", "Transfer-Encoding", "Trailer", "Authorization", "TE",
                                  "host"])
def test_a_requests_forbidden_trailers_are_refused(echo, name):
    body = b"5\r\nhello\r\n0\r\nX-Fine: 1\r\n" + name.encode() + b": 1\r\n\r\n"
    with echo.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")], body=body) +
                  request_bytes("/second"))
        response = wire.response()
        assert response.status == 400 and b"trailer" in response.body and response.closes
        try:
            assert wire.rest() == b""
        except WireError as error:
            assert getattr(error, "reset", False), error


def test_a_requests_other_trailers_are_dropped(echo):
    body = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    with echo.connect() as wire:
        response = wire.ask("/", method="POST", headers=[("Transfer-Encoding", "chunked")], body=body)
        assert b'"body": "hello"' in response.body and b"X-Sum" not in response.body
        assert wire.ask("/?size=1").body == b"x"


# ---- the hook writable() ----

PIECE = 16 * 1024


def letters(kib):
    return b"".join(bytes([97 + piece % 26]) * PIECE for piece in range(kib * 1024 // PIECE))


def test_a_stream_that_may_not_wait_is_written_as_its_client_takes_it(serve):
    """Many clients, one handler thread, and no thread of the plugin's own."""
    server = serve(test_plugin("writes_on"), "-w", "1", "--threads", "1")
    kib = 8192
    wires = [server.connect(timeout=30) for _ in range(20)]
    try:
        for wire in wires:
            wire.send(request_bytes(f"/{kib}"))
        assert server.get("/stats").status == 200  # none of them occupies the handler
        for wire in wires:
            assert wire.response().body == letters(kib)
            assert wire.ask("/0").body == b""
    finally:
        for wire in wires:
            wire.close()
    assert int(server.get("/stats").text) >= 20


def test_a_client_that_leaves_is_not_waited_for(serve):
    server = serve(test_plugin("writes_on"), "-w", "1", "--threads", "1")
    for _ in range(10):
        with server.connect() as wire:
            wire.send(request_bytes("/8192"))
            assert wire.head().status == 200
    assert server.get("/256").body == letters(256)
    server.stop()
    assert "still in" not in server.log()
