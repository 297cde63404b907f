"""Every ordinary client is served: HTTP/1.1 and 1.0, kept alive, pipelined, chunked, cut anywhere."""
import hashlib
import json
import re
import time
from email.utils import parsedate_to_datetime

import pytest

from server import example
from wire import chunked, request_bytes


@pytest.fixture(scope="module")
def echo(serve_module):
    return serve_module(example("echo"), "-w", "1", "--threads", "2")


def json_of(response):
    assert response.status == 200, response
    assert response.header("Content-Type").startswith("application/json")
    return json.loads(response.body)


# ---- connections ----
def test_many_requests_share_one_connection(echo):
    with echo.connect() as wire:
        for number in range(20):
            response = wire.ask(f"/{number}")
            assert json_of(response)["path"] == f"/{number}"
            assert not response.closes


def test_connection_close_is_said_and_done(echo):
    with echo.connect() as wire:
        response = wire.ask("/", headers=[("Connection", "close")])
        assert response.status == 200 and response.header("Connection").lower() == "close"
        assert wire.end() == "eof"


@pytest.mark.parametrize("value", ["Close", "keep-alive, close", "x-y ,close", "close\t"])
def test_close_is_found_among_connection_tokens(echo, value):
    with echo.connect() as wire:
        assert wire.ask("/", headers=[("Connection", value)]).closes
        assert wire.end() == "eof"


def test_http_1_0_closes_by_itself(echo):
    with echo.connect() as wire:
        assert wire.ask("/?size=10", version="1.0").body == b"x" * 10
        assert wire.end() == "eof"


def test_http_1_0_is_kept_alive_when_it_asks(echo):
    with echo.connect() as wire:
        for _ in range(3):
            response = wire.ask("/?size=10", version="1.0", headers=[("Connection", "keep-alive")])
            assert response.header("Connection").lower() == "keep-alive" and response.framing == "length"


def test_http_1_0_needs_no_host(echo):
    assert json_of(echo.get("/", version="1.0", host=None))["protocol"] == "HTTP/1.0"


def test_http_1_0_never_gets_chunks(echo):
    with echo.connect() as wire:
        response = wire.ask("/?size=5000&chunked=1", version="1.0", headers=[("Connection", "keep-alive")])
        assert response.framing == "close" and response.body == b"x" * 5000


# ---- responses ----
def test_date_and_server_come_once_and_true(echo):
    response = echo.get("/")
    date = response.header("Date")
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 30
    assert response.header("Server").startswith("narwhal")


def test_an_application_cannot_double_the_hosts_fields(echo):
    response = echo.get("/?rh=Date:yesterday&rh=Connection:upgrade&rh=Transfer-Encoding:gzip&rh=Keep-Alive:x&size=3")
    assert response.status == 200 and response.body == b"xxx"
    assert "yesterday" not in response.header("Date")
    assert response.header("Connection", "close").lower() in ("close", "keep-alive")
    assert response.header("Transfer-Encoding") is None and response.header("Keep-Alive") is None


def test_an_applications_own_server_field_replaces_ours(echo):
    assert echo.get("/?rh=Server:mine").header("Server") == "mine"


@pytest.mark.parametrize("target", ["/?size=500", "/?size=500&chunked=1", "/?size=500&write=1"])
def test_head_has_the_head_of_get_and_no_body(echo, target):
    with echo.connect() as wire:
        get, head = wire.ask(target), wire.ask(target, method="HEAD")
        assert get.body == b"x" * 500 and head.status == 200
        assert head.header("Content-Length") in (get.header("Content-Length"), None)
        assert wire.ask("/?size=1").body == b"x"  # no body arrived in between


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("force", ["", "&force=1"])
def test_no_content_means_no_body(echo, status, force):
    with echo.connect() as wire:
        response = wire.ask(f"/?status={status}{force}")
        assert response.status == status
        assert response.header("Transfer-Encoding") is None
        if status == 204:
            assert response.header("Content-Length") is None
        assert wire.ask("/?size=1").body == b"x"


@pytest.mark.parametrize("status", [200, 201, 301, 404, 418, 500, 503, 599])
def test_an_applications_status_is_the_clients(echo, status):
    with echo.connect() as wire:
        assert wire.ask(f"/?status={status}&size=4").status == status
        assert wire.ask("/?size=1").body == b"x"


def test_chunked_response_arrives_in_pieces_and_ends(echo):
    with echo.connect() as wire:
        response = wire.ask("/?size=70000&chunked=1")
        assert response.framing == "chunked" and response.body == b"x" * 70000 and len(response.chunks) > 1
        assert wire.ask("/?size=1").body == b"x"


def test_a_large_response_is_whole(echo):
    response = echo.get("/?size=8388608", timeout=40)
    assert response.body == b"x" * 8388608


# ---- pipelining ----
def test_pipelined_requests_are_answered_in_order(echo):
    with echo.connect() as wire:
        wire.send(b"".join(request_bytes(f"/{number}") for number in range(50)))
        assert [json_of(wire.response())["path"] for _ in range(50)] == [f"/{number}" for number in range(50)]


def test_a_slow_first_request_keeps_its_place(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/slow?sleep=0.5") + request_bytes("/quick") + request_bytes("/last?chunked=1"))
        assert [json_of(wire.response())["path"] for _ in range(3)] == ["/slow", "/quick", "/last"]


def test_pipelined_bodies_stay_with_their_requests(echo):
    bodies = [b"%d" % number * (number * 700) for number in range(12)]
    plain = [request_bytes("/", method="POST", body=body) for body in bodies]
    in_chunks = [request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                               body=chunked(*(piece for piece in (body[:5], body[5:]) if piece))) for body in bodies]
    wires = [one for pair in zip(plain, in_chunks) for one in pair]
    sent = [body for body in bodies for _ in range(2)]
    with echo.connect() as wire:
        wire.send(b"".join(wires))
        for body in sent:
            answer = json_of(wire.response())
            assert answer["body_len"] == len(body) and answer["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_requests_after_close_are_not_answered(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/one", headers=[("Connection", "close")]) + request_bytes("/two"))
        assert json_of(wire.response())["path"] == "/one"
        try:
            assert wire.rest() == b""
        except Exception as error:
            assert getattr(error, "reset", False), error  # the unread request may turn FIN into RST


def test_a_deep_pipeline_of_large_responses_does_not_jam(echo):
    with echo.connect(timeout=40) as wire:
        wire.send(request_bytes("/?size=300000") * 30)
        for _ in range(30):
            assert len(wire.response().body) == 300000


# ---- requests cut anywhere ----
def test_a_request_byte_by_byte(echo):
    body = chunked(b"hello", b"world", extension=b";a=b")
    wires = request_bytes("/a?b=c", method="POST", headers=[("Transfer-Encoding", "chunked")], body=body)
    with echo.connect() as wire:
        for at in range(len(wires)):
            wire.send(wires[at:at + 1])
        answer = json_of(wire.response())
        assert (answer["path"], answer["query"], answer["body"]) == ("/a", "b=c", "helloworld")


def test_two_requests_in_every_cut(echo):
    wires = request_bytes("/1", method="POST", body=b"hello") + request_bytes("/2", host="t")
    with echo.connect() as wire:
        for cut in range(1, len(wires)):
            wire.send(wires[:cut])
            time.sleep(0.001)  # only makes it likely that the cut has an effect; the answers are right in both cases
            wire.send(wires[cut:])
            first, second = json_of(wire.response()), json_of(wire.response())
            assert (first["path"], first["body"], second["path"], second["body"]) == ("/1", "hello", "/2", "")


def test_empty_lines_before_a_request_are_skipped(echo):
    with echo.connect() as wire:
        wire.send(b"\r\n" + request_bytes("/x"))
        assert json_of(wire.response())["path"] == "/x"
        wire.send(b"\r\n" + request_bytes("/y"))
        assert json_of(wire.response())["path"] == "/y"


# ---- the contents of a request ----
def test_fields_arrive_in_order_with_their_names_and_values(echo):
    sent = [("X-B", "1"), ("x-a", "two  words"), ("X-B", "2"), ("X-Empty", ""), ("X-High", "caf\xe9")]
    answer = json_of(echo.get("/", headers=sent))
    got = [tuple(field) for field in answer["headers"] if field[0].lower().startswith("x-")]
    assert got == sent


def test_white_space_around_a_value_is_not_part_of_it(echo):
    with echo.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: test\r\nX-A:\t one \t \r\n\r\n")
        assert ["X-A", "one"] in json_of(wire.response())["headers"]


def test_the_target_is_passed_raw_and_in_parts(echo):
    answer = json_of(echo.get("/a%20b/%2Fc;d?x=%26&y=?z"))
    assert answer["uri"] == "/a%20b/%2Fc;d?x=%26&y=?z"
    assert (answer["path"], answer["query"]) == ("/a%20b/%2Fc;d", "x=%26&y=?z")


def test_an_absolute_target_names_its_path(echo):
    with echo.connect() as wire:
        answer = json_of(wire.ask("http://shop.example/a?b"))
        assert (answer["uri"], answer["path"], answer["query"]) == ("http://shop.example/a?b", "/a", "b")


def test_options_asterisk(echo):
    assert json_of(echo.get("*", method="OPTIONS"))["uri"] == "*"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_methods_reach_the_application(echo, method):
    assert json_of(echo.get("/", method=method))["method"] == method


def test_a_get_may_carry_a_body(echo):
    with echo.connect() as wire:
        assert json_of(wire.ask("/", body=b"hello"))["body"] == "hello"
        assert json_of(wire.ask("/"))["body"] == ""


# ---- Expect: 100-continue ----
def test_continue_is_sent_before_the_body(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Expect", "100-continue"), ("Content-Length", "5")]))
        assert wire.response(interim=True).status == 100
        wire.send(b"hello")
        assert json_of(wire.response())["body"] == "hello"
        assert json_of(wire.ask("/"))["body"] == ""


def test_continue_is_not_needed_when_the_body_is_there(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Expect", "100-Continue")], body=b"hello"))
        assert json_of(wire.response())["body"] == "hello"


def test_http_1_0_gets_no_interim_response(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/", method="POST", version="1.0",
                                headers=[("Expect", "100-continue"), ("Content-Length", "5")]))
        assert wire.quiet_for(0.3)
        wire.send(b"hello")
        assert json_of(wire.response(interim=True))["body"] == "hello"


def test_another_expectation_is_refused(echo):
    with echo.connect() as wire:
        assert wire.ask("/", headers=[("Expect", "tea")]).status == 417


# ---- half-closed clients ----
def test_a_client_that_is_done_sending_still_gets_its_answers(echo):
    with echo.connect() as wire:
        wire.send(request_bytes("/1?sleep=0.3") + request_bytes("/2"))
        wire.shut_down_writing()
        assert json_of(wire.response())["path"] == "/1"
        assert json_of(wire.response())["path"] == "/2"
        assert wire.end() == "eof"


def test_a_client_that_ends_inside_a_request_is_let_go(echo):
    for part in (b"GET / HT", b"GET / HTTP/1.1\r\nHost: t\r\n", request_bytes("/", method="POST", body=b"hello")[:-1],
                 request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")], body=b"5\r\nhel")):
        with echo.connect() as wire:
            wire.send(part)
            wire.shut_down_writing()
            rest = wire.rest(timeout=10)
            assert rest == b"" or rest.startswith(b"HTTP/1.1 400"), rest
