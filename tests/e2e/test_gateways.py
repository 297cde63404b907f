"""FastCGI, SCGI and uwsgi: each wire carries what HTTP carries, beside it and with the same limits."""
import hashlib
import json
import re
import signal
import threading
import time

import pytest

from clock import eventually, scaled
from gateway import (ABORT, CANNOT_MULTIPLEX, COMPLETE, DATA, END, GET_VALUES, PARAMS, STDIN, STDOUT, UNKNOWN,
                     UNKNOWN_ROLE, VALUES_RESULT, WIRES, Gateway, begin, fastcgi_request, pairs, record, request_over,
                     scgi_request, stream, uwsgi_request, variables_of)
from load import in_parallel
from server import WSGI, example, run, test_plugin
from wire import Truncated, WireError

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


# ---- FastCGI alone ----
@pytest.fixture
def fastcgi(servers):
    _, addresses = servers
    with Gateway("fastcgi", addresses["fastcgi"], timeout=20) as front:
        yield front


def test_a_connection_is_kept_where_the_web_server_asks_for_it(fastcgi):
    for number in range(1, 50):
        assert fastcgi.ask(f"/?size={number}", keep=True, request=number).body == b"x" * number
    assert fastcgi.ask("/?size=5").body == b"xxxxx"  # without KEEP_CONN the server closes it
    assert fastcgi.rest() == b""


def test_params_in_any_records(fastcgi):
    said = variables_of("/?size=3", more={"X_LONG": "v" * 300})
    for size in (1, 2, 3, 7, 50, 65535):
        for long in (False, True):
            fastcgi.send(fastcgi_request(said, size=size, long=long, padding=size % 5, keep=True))
            assert fastcgi.answer().body == b"xxx"


def test_management_records_are_answered(fastcgi):
    fastcgi.send(record(GET_VALUES, 0, pairs([(b"FCGI_MPXS_CONNS", b""), (b"FCGI_MAX_CONNS", b""), (b"NONE", b"")])))
    kind, request, content = fastcgi.record()
    assert (kind, request) == (VALUES_RESULT, 0) and b"\x0f\x01FCGI_MPXS_CONNS0" in content and b"FCGI_MAX_CONNS" in content
    fastcgi.send(record(77, 0, b"?"))
    kind, request, content = fastcgi.record()
    assert (kind, request, content[0]) == (UNKNOWN, 0, 77)
    assert fastcgi.ask("/?size=1", keep=True).body == b"x"


def test_another_role_is_refused(fastcgi):
    fastcgi.send(begin(3, keep=True, role=2))
    assert fastcgi.record() == (END, 3, bytes([0, 0, 0, 0, UNKNOWN_ROLE, 0, 0, 0]))
    assert fastcgi.ask("/?size=1", keep=True).body == b"x"


def test_a_second_request_meanwhile_is_refused(fastcgi):
    fastcgi.send(request_over("fastcgi", "/?sleep=0.5&size=2", request=1, keep=True))
    fastcgi.send(begin(2, keep=True))
    assert fastcgi.record() == (END, 2, bytes([0, 0, 0, 0, CANNOT_MULTIPLEX, 0, 0, 0]))
    assert fastcgi.answer(request=1).body == b"xx"


@pytest.mark.parametrize("when", ["params", "body", "handler"])
def test_an_aborted_request_is_ended(fastcgi, when):
    sent = request_over("fastcgi", "/?sleep=1", method="POST", body=b"x" * 1000, keep=True)
    if when == "params":
        sent = begin(1, keep=True) + record(PARAMS, 1, b"\x01")
    elif when == "body":
        sent = sent[:-500]
        sent = begin(1, keep=True) + stream(PARAMS, 1, pairs(variables_of("/", "POST", body=b"x" * 1000))) + record(STDIN, 1, b"x")
    fastcgi.send(sent)
    if when == "handler":
        time.sleep(scaled(0.2))
    fastcgi.send(record(ABORT, 1))
    began = time.monotonic()
    kind, request, content = fastcgi.record()
    if when != "params":  # an answer had been due
        assert (kind, request, content) == (STDOUT, 1, b"")
        kind, request, content = fastcgi.record()
    assert (kind, request, content[4]) == (END, 1, COMPLETE) and time.monotonic() - began < scaled(0.7)
    assert fastcgi.ask("/?size=1", keep=True, request=2).body == b"x"


def test_the_next_request_may_come_while_the_handler_is_still_at_work(serve):
    """It has flushed its answer, so that the web server has END_REQUEST."""
    server = serve(example("every_hook"), "-w", "1", "--threads", "2", "--option", "pause=1", bind="fastcgi://127.0.0.1:0")
    with Gateway("fastcgi", server.address, timeout=30) as front:
        for _ in range(2):
            assert front.ask("/work", keep=True).text == "accepted\n"
            assert front.ask("/cgi?REQUEST_METHOD", keep=True).text == "GET"
        assert front.ask("/work", keep=True).text == "accepted\n"
        front.send(record(ABORT, 1) + request_over("fastcgi", "/cgi?REMOTE_PORT", keep=True))
        assert front.fastcgi_answer().text == "40007"


def test_many_requests_that_are_aborted_at_once(fastcgi):
    one = request_over("fastcgi", "/?sleep=5", keep=True)
    fastcgi.send((one + record(ABORT, 1)) * 300 + request_over("fastcgi", "/?size=4", keep=True))
    ended = 0
    while True:
        kind, request, content = fastcgi.record()
        if kind == END and content[3] == 1:
            ended += 1
        elif kind == STDOUT and content:
            break
    assert ended == 300 and content.endswith(b"\r\n\r\n")


def test_a_web_server_that_asks_and_does_not_read(serve):
    server = serve(example("echo"), "-w", "1", bind="fastcgi://127.0.0.1:0")
    with Gateway("fastcgi", server.address, receive_buffer=4096) as front:
        front.send(request_over("fastcgi", "/?size=50000000", keep=True))
        with pytest.raises(ConnectionError):  # not a send that waits for ever
            for _ in range(3000):
                front.send(record(77, 0) * 1000)
    with Gateway("fastcgi", server.address) as front:
        assert front.ask("/?size=1").body == b"x"


def test_a_cut_of_an_unknown_length_is_an_error_over_a_unix_socket_too(serve, tmp_path):
    server = serve(example("echo"), bind=f"fastcgi://unix:{tmp_path}/a.sock")
    with Gateway("fastcgi", server.address) as front:
        with pytest.raises(WireError):
            front.ask("/?exc=late&chunked=1&size=100000")


def test_records_of_other_requests_are_ignored(fastcgi):
    sent = request_over("fastcgi", "/?size=4", method="POST", body=b"abc", keep=True)
    noise = record(STDIN, 9, b"no") + record(DATA, 1, b"no") + record(ABORT, 8) + record(PARAMS, 7)
    at = 16
    fastcgi.send(sent[:at] + noise + sent[at:])
    assert fastcgi.answer("POST").body == b"xxxx"


def test_a_body_of_unknown_length(fastcgi):
    said = variables_of("/", "POST", length=False)
    fastcgi.send(fastcgi_request(said, b"z" * 100_000, keep=True))
    assert json.loads(fastcgi.answer("POST").body)["body_len"] == 100_000
    fastcgi.send(fastcgi_request(said, b"", keep=True))
    assert json.loads(fastcgi.answer("POST").body)["body_len"] == 0


def test_a_reload_loses_no_request_of_a_kept_connection(serve):
    server = serve(example("echo"), "-w", "2", "--graceful-timeout", "20", bind="fastcgi://127.0.0.1:0")

    def client(_):
        done = 0
        front = Gateway("fastcgi", server.address, timeout=30)
        until = time.monotonic() + scaled(4)
        while time.monotonic() < until:
            try:
                front.send(request_over("fastcgi", "/?size=10", keep=True))
                assert front.fastcgi_answer().body == b"x" * 10
                done += 1
            except (Truncated, ConnectionError) as error:
                # A web server tries again when the connection was closed before a byte of an answer.
                assert getattr(error, "got", 0) == 0
                front.close()
                front = Gateway("fastcgi", server.address, timeout=30)
        front.close()
        return done
    reloads = threading.Timer(scaled(1), server.send, [signal.SIGHUP])
    reloads.start()
    assert all(done > 10 for done in in_parallel(4, client))
    reloads.join()


def test_a_file_is_sent_in_records(serve, tmp_path):
    (tmp_path / "big").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "app_file.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'application/octet-stream')])\n"
        f"    return environ['wsgi.file_wrapper'](open({str(tmp_path / 'big')!r}, 'rb'))\n")
    if not WSGI.exists():
        pytest.skip("no WSGI plugin")
    server = serve("app_file:app", "--pythonpath", tmp_path, bind="fastcgi://127.0.0.1:0")
    with Gateway("fastcgi", server.address, timeout=30) as front:
        for _ in range(3):
            assert front.ask("/", keep=True).body == bytes(range(256)) * 4096


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
