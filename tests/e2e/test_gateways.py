"""FastCGI, SCGI and uwsgi: each wire carries what HTTP carries, beside it and with the same limits."""
import hashlib
import json
import re
import time

import pytest

from clock import eventually, scaled
from gateway import (COMPLETE, PARAMS, UNKNOWN, WIRES, Gateway, begin, pairs, record, request_over, scgi_request, stream,
                     uwsgi_request)
from load import in_parallel
from server import WSGI, example, run, test_plugin
from wire import Truncated

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def servers(serve_module):
    """One server that speaks each wire at an address of its own, and HTTP."""
    binds = [part for wire in WIRES for part in ("-b", f"{wire}://127.0.0.1:0")]
    server = serve_module(example("echo"), *binds, "-w", "2", "--threads", "2", "--access-logfile", "-", "--keep-alive", "30")
    return server, dict(zip(("http", *WIRES), server.addresses))


@pytest.fixture(params=WIRES)
def gateway(request, servers):
    """Opens connections of one wire."""
    _, addresses = servers

    def connect(**named):
        return Gateway(request.param, addresses[request.param], **named)
    connect.wire = request.param
    return connect


def test_the_log_says_what_is_spoken_where(servers):
    server, _ = servers
    listening = re.search(r"Listening at: (.+) \(\d+\)", server.log())[1].split(",")
    assert [text.split("://")[0] for text in listening] == ["http", *WIRES]


def test_a_request_is_what_the_web_server_says(gateway):
    with gateway() as front:
        answer = front.ask("/a%20b?x=1", headers=[("X-One", "1"), ("Accept-Language", "de")])
    assert answer.status == 200 and answer.header("Content-Type") == "application/json"
    seen = json.loads(answer.body)
    assert (seen["method"], seen["path"], seen["query"], seen["uri"]) == ("GET", "/a%20b", "x=1", "/a%20b?x=1")
    assert ["X-One", "1"] in seen["headers"] and ["Accept-Language", "de"] in seen["headers"]
    assert ["Host", "test"] in seen["headers"]
    assert (seen["peer"], seen["peer_port"], seen["client"]) == ("192.0.2.7", 40007, "192.0.2.7")
    assert (seen["scheme"], seen["protocol"]) == ("http", "HTTP/1.1")


def test_https_is_what_the_web_server_says(gateway):
    with gateway() as front:
        assert json.loads(front.ask("/", more={"HTTPS": "on", "REQUEST_SCHEME": "https"}).body)["scheme"] == "https"


def test_a_client_is_not_believed_because_its_address_is_odd(gateway):
    claims = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https")]
    with gateway() as front:
        seen = json.loads(front.ask("/", headers=claims, more={"REMOTE_ADDR": "fe80::1%eth0"}).body)
        assert seen["client"] != "6.6.6.6" and seen["scheme"] == "http"
    with gateway() as front:
        seen = json.loads(front.ask("https://test/x", more={"REQUEST_SCHEME": None}).body)
        assert (seen["scheme"], seen["path"]) == ("http", "/x")


@pytest.mark.parametrize("size", [1, 100, 16_000, 70_000, 3 * MIB])
def test_a_body_arrives_whole(gateway, size):
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    with gateway(timeout=30) as front:
        seen = json.loads(front.ask("/?body=0", method="POST", body=body).body)
    assert seen["body_len"] == size and seen["body_sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 5 * MIB])
@pytest.mark.parametrize("how", ["", "&write=1", "&chunked=1"])
def test_an_answer_arrives_whole(gateway, size, how):
    with gateway(timeout=30) as front:
        answer = front.ask(f"/?size={size}{how}")
    assert answer.status == 200 and answer.body == b"x" * size
    assert answer.header("Content-Length") == (None if "chunked" in how else str(size))
    assert (answer.application_status, answer.protocol_status) == (0, COMPLETE)


@pytest.mark.parametrize("status", [200, 204, 304, 404, 503])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_status_and_head(gateway, status, method):
    with gateway() as front:
        answer = front.ask(f"/?status={status}&rh=X-Two:2", method=method)
    assert answer.status == status and answer.header("X-Two") == "2"
    if method == "HEAD":
        assert answer.body == b""


def test_an_interim_answer_has_no_place(gateway):
    with gateway() as front:
        assert front.ask("/?hint=Link:%3C/a%3E&size=3").body == b"xxx"


@pytest.mark.parametrize("late", [False, True])
def test_a_handler_that_fails(gateway, late):
    with gateway() as front:
        if not late:
            assert front.ask("/?exc=early").status == 500
            return
        front.send(request_over(gateway.wire, "/?exc=late&write=1&size=100000"))
        try:
            answer = front.answer()
        except (Truncated, ConnectionError):
            return  # it looks cut off
        assert gateway.wire == "fastcgi" and answer.application_status != 0


def test_any_cut_of_a_request_is_the_same_request(gateway):
    sent = request_over(gateway.wire, "/cut?body=1", method="POST", headers=[("X-One", "1")], body=b"body")
    step = 1 if gateway.wire != "fastcgi" else 3
    for at in range(1, len(sent), max(step, len(sent) // 60)):
        with gateway() as front:
            front.send(sent[:at])
            time.sleep(0.001)  # so that the kernel gives it in two pieces, most often
            front.send(sent[at:])
            assert json.loads(front.answer("POST").body)["body"] == "body"


def test_a_request_byte_by_byte(gateway):
    with gateway(timeout=30) as front:
        for byte in request_over(gateway.wire, "/slow", method="POST", body=b"slowly"):
            front.send(bytes([byte]))
        assert json.loads(front.answer("POST").body)["body"] == "slowly"


def test_requests_wait_for_one_another_in_no_worker(gateway):
    def client(_):
        for turn in range(20):
            with gateway(timeout=30) as front:
                assert front.ask(f"/?size={turn * 1000}").body == b"x" * (turn * 1000)
        return True
    assert all(in_parallel(8, client))


def test_the_access_log_has_them(servers, gateway):
    server, _ = servers
    with gateway() as front:
        front.ask(f"/logged-{gateway.wire}", headers=[("User-Agent", "web server")])
    line = eventually("the line", lambda: re.search(rf".*/logged-{gateway.wire} .*", server.stdout()))[0]
    assert line.startswith("192.0.2.7 ") and f'"GET /logged-{gateway.wire} HTTP/1.1" 200' in line and '"web server"' in line


def test_http_goes_on_beside_them(servers):
    server, _ = servers
    assert json.loads(server.get("/").body)["scheme"] == "http"


# ---- what is not a request ----
MALFORMED = {
    "fastcgi": [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x02\x01\0\1\0\x08\0\0" + bytes(8), record(PARAMS, 0, b"x"),
                begin(1) + record(PARAMS, 1, b"\xff\xff\xff\xff") + record(PARAMS, 1),
                begin(1) + stream(PARAMS, 1, pairs([(b"REQUEST_METHOD", b"GET"), (b"CONTENT_LENGTH", b"-1")])),
                begin(1) + stream(PARAMS, 1, pairs([(b"QUERY_STRING", b"")]))],
    "scgi": [b"GET / HTTP/1.1\r\n\r\n", b"00:,", b"12:CONTENT", b"5:abcde,", b"24:CONTENT_LENGTH\x000\x00SCGI\x001\x00;",
             scgi_request([(b"SCGI", b"1"), (b"CONTENT_LENGTH", b"0")]),
             scgi_request([(b"CONTENT_LENGTH", b"0"), (b"SCGI", b"2"), (b"REQUEST_METHOD", b"GET")]),
             scgi_request([(b"CONTENT_LENGTH", b"0"), (b"SCGI", b"1"), (b"REQUEST_METHOD", b"GET"), (b"A", b"1"), (b"A", b"1")])],
    "uwsgi": [b"GET / HTTP/1.1\r\n\r\n", uwsgi_request([(b"REQUEST_METHOD", b"GET")], modifiers=(5, 0)),
              b"\0\x04\0\0\xff\xff\0\0", uwsgi_request([(b"X%d" % number, b"1") for number in range(1001)])],
}


@pytest.mark.parametrize("wire,number", [(wire, number) for wire in WIRES for number in range(len(MALFORMED[wire]))])
def test_what_is_malformed_ends_the_connection_and_nothing_else(serve, wire, number):
    server = serve(example("echo"), "--header-timeout", "1", "-w", "1", bind=f"{wire}://127.0.0.1:0")
    with Gateway(wire, server.address) as front:
        front.send(MALFORMED[wire][number])
        data = front.rest(timeout=20)
        assert b"200" not in data
    with Gateway(wire, server.address) as front:
        assert front.ask("/").status == 200
    is_unknown = wire == "fastcgi" and data[1:2] == bytes([UNKNOWN])  # of a record that has to do with no request
    assert "Invalid request" in server.log() or data == b"" or is_unknown


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("part", ["head", "body"])
def test_half_a_request_ends_within_its_limit(serve, wire, part):
    server = serve(example("echo"), "--header-timeout", "1", "--body-timeout", "1", bind=f"{wire}://127.0.0.1:0")
    sent = request_over(wire, "/", method="POST", body=b"x" * 100)
    with Gateway(wire, server.address) as front:
        front.send(sent[:60] if part == "head" else sent[:-30])
        began = time.monotonic()
        data = front.rest(timeout=20)
        assert 0.8 < time.monotonic() - began < scaled(8)
        assert data == b"" or b" 408 " in data or b"Status: 408" in data


@pytest.mark.parametrize("wire", WIRES)
def test_what_is_not_known_of_a_request_is_not_that_of_another(serve, wire):
    server = serve(example("echo"), "-w", "1", "--header-timeout", "1", "--access-logfile", "-", bind=f"{wire}://127.0.0.1:0")
    for _ in range(3):
        with Gateway(wire, server.address) as front:
            assert front.ask("/somebody-elses?secret=1", method="HEAD").status == 200
    with Gateway(wire, server.address) as front:
        front.send(request_over(wire, "/mine")[:40])
        front.rest(timeout=20)
    with Gateway(wire, server.address) as front:
        front.send(MALFORMED[wire][0])
        front.rest(timeout=20)
    eventually("both lines", lambda: len(server.stdout().splitlines()) == 5)
    assert server.stdout().count("secret") == 3, server.stdout()


@pytest.mark.parametrize("wire", WIRES)
def test_limits_are_those_of_http(serve, wire):
    server = serve(example("echo"), "--limit-request-line", "100", "--limit-request-body", "1000", "--timeout", "1", "-w", "1",
                   "--threads", "2", bind=f"{wire}://127.0.0.1:0")
    for target, parts, status in (("/" + "a" * 200, {}, 414), ("/", {"method": "POST", "body": b"x" * 2000}, 413),
                                  ("/?sleep=20", {}, 504)):
        with Gateway(wire, server.address, timeout=30) as front:
            assert front.ask(target, **parts).status == status


@pytest.mark.parametrize("wire", WIRES)
def test_who_may_speak_it(serve, wire):
    server = serve(example("echo"), bind=f"{wire}://127.0.0.1:0?allow_from=127.0.0.9")
    with Gateway(wire, server.address) as front:
        assert front.ask("/").status == 403
    with Gateway(wire, server.address, source="127.0.0.9") as front:
        assert front.ask("/").status == 200
    setting = "uwsgi_allow_ips" if wire == "uwsgi" else "gateway_allow_ips"
    server = serve(example("echo"), config=f"{setting}: 10.0.0.0/8\nprotocol: {wire}\n")
    with Gateway(wire, server.address) as front:
        assert front.ask("/").status == 403


@pytest.mark.parametrize("wire", WIRES)
def test_a_unix_socket(serve, wire, tmp_path):
    path = tmp_path / "app.sock"
    server = serve(example("echo"), bind=f"{wire}://unix:{path}")
    assert f"{wire}://unix:{path}" in server.log()
    with Gateway(wire, str(path)) as front:
        assert json.loads(front.ask("/").body)["peer"] == "192.0.2.7"


@pytest.mark.parametrize("wire", WIRES)
def test_the_protocol_of_all_binds(serve, wire):
    server = serve(example("echo"), "--protocol", wire)
    with Gateway(wire, server.address) as front:
        assert front.ask("/").status == 200


# ---- prefixes ----
@pytest.mark.parametrize("wire", WIRES)
def test_the_web_servers_prefix_and_the_routes_are_one(serve, wire):
    config = f"protocol: {wire}\napp: {example('echo')}\nroutes:\n  - prefix: /api\n    app: {test_plugin('two_mounts')}\n"
    server = serve(config=config)
    with Gateway(wire, server.address) as front:
        seen = json.loads(front.ask("/shop/cart", more={"SCRIPT_NAME": "/shop", "PATH_INFO": "/cart"}).body)
        assert seen["path"] == "/shop/cart"
    with Gateway(wire, server.address) as front:
        assert front.ask("/shop/api/x", more={"SCRIPT_NAME": "/shop", "PATH_INFO": "/api/x"}).status == 200


# ---- Python ----
APP = """
def app(environ, start_response):
    keys = ("SCRIPT_NAME", "PATH_INFO", "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_USER", "DOCUMENT_ROOT", "HTTPS",
            "QUERY_STRING", "CONTENT_LENGTH", "wsgi.url_scheme", "HTTP_X_ONE")
    body = repr([environ.get(key) for key in keys] + [environ["wsgi.input"].read()]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.skipif(not WSGI.exists(), reason="no WSGI plugin")
@pytest.mark.parametrize("wire", WIRES)
def test_a_wsgi_application(serve, wire, tmp_path):
    (tmp_path / "gateway_app.py").write_text(APP)
    server = serve("gateway_app:app", "--pythonpath", tmp_path, bind=f"{wire}://127.0.0.1:0")
    with Gateway(wire, server.address) as front:
        said = {"SCRIPT_NAME": "/shop", "PATH_INFO": "/a b", "REMOTE_USER": "anna", "HTTPS": "on", "REQUEST_SCHEME": "https"}
        answer = front.ask("/shop/a%20b?q=1", method="POST", body=b"posted", headers=[("X-One", "1")], more=said)
    assert eval(answer.text) == ["/shop", "/a b", "shop.example", "8080", "192.0.2.7", "anna", "/usr/share/nginx/html", "on",
                                 "q=1", "6", "https", "1", b"posted"]


# ---- settings ----
@pytest.mark.parametrize("bind,text", [
    ("http://127.0.0.1:0?allow_from=10.0.0.1", "it is for fastcgi://, scgi:// and uwsgi://"),
    ("scgi://unix:/tmp/x?allow_from=10.0.0.1", "peers of a Unix socket have no address"),
    ("uwsgi://127.0.0.1:0?allow_from=10.0.0.300", "10.0.0.300"),
    ("fastcg://127.0.0.1:0", "did you mean 'fastcgi'?"),
])
def test_mistakes_in_a_bind_are_named(bind, text):
    done = run("-b", bind, example("echo"), "--check-config")
    assert done.returncode == 2 and text in done.stderr


def test_a_list_of_peers_where_http_is_spoken_is_a_mistake():
    done = run("-b", "127.0.0.1:0?allow_from=10.0.0.1", example("echo"), "--check-config")
    assert done.returncode == 1 and "HTTP is spoken there" in done.stderr
    assert run("-b", "127.0.0.1:0?allow_from=10.0.0.1", "--protocol", "scgi", example("echo"), "--check-config").returncode == 0
