"""conf/nginx, conf/apache and conf/lighttpd as shipped, in real web servers in front of the real server: over each wire, the same
client gets the same answers as directly."""
import contextlib
import hashlib
import importlib.util
import json
import re
import tempfile
from pathlib import Path

import pytest

import wire
from admin_client import Admin
from clock import eventually
from front_cases import (APP, CHUNKED_REFUSED, ECHO, FLASK, HINTED, HINTS_NOT_UNDERSTOOD, MIB, MOUNTED, TARGETS,
                         TARGETS_CHANGED, described, essence, is_same, pattern)
from server import WSGI, example
from web_fronts import FRONTS, WIRES
from wire import Truncated, WireError, request_bytes

HAS_FLASK = WSGI.exists() and importlib.util.find_spec("flask") is not None
needs_flask = pytest.mark.skipif(not HAS_FLASK, reason="this build has no WSGI plugin, or python3-flask is not installed")
# What a client may claim about itself; none of it may be believed.
CLAIMS = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
          ("Forwarded", "for=6.6.6.6;proto=https"), ("X-Forwarded-Ssl", "on"), ("X-Forwarded-Protocol", "ssl"), ("Proxy", "evil"),
          ("SCRIPT_NAME", "/evil"), ("PATH_INFO", "/evil"), ("X_Forwarded_For", "6.6.6.6")]
LENGTH_GIVEN = "lighttpd gives an answer without a length the length of what has come, if it has not begun to send it"
BOTH = [(name, each) for name in FRONTS for each in WIRES]


@pytest.fixture(scope="module")
def server(serve_module, tmp_path_factory):
    """The echo example, and the Flask application at /flask, over each wire."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "front_app.py").write_text(APP)
    routes = "routes:\n  - prefix: /flask\n    app: front_app:app\n" if HAS_FLASK else ""
    binds = [part for each in WIRES[1:] for part in ("-b", f"{each}://127.0.0.1:0")]
    server = serve_module(*binds, "-w", "2", "--threads", "4", "--pythonpath", folder, config=f"app: {example('echo')}\n{routes}",
                          env={"FRONT_TEST_FOLDER": str(folder), "PYTHONDONTWRITEBYTECODE": "1"})
    server.upstreams = dict(zip(WIRES, server.addresses))
    server.app_folder = folder
    return server


@contextlib.contextmanager
def running(name, spoken, upstream, folder, replaced=None):
    """The web server in front of `upstream`, or a skipped test."""
    if not FRONTS[name].program:
        pytest.skip(f"{FRONTS[name].package} is not installed")
    front = FRONTS[name](spoken, upstream, folder / "front", replaced).start()
    try:
        yield front
    finally:
        front.stop()


@pytest.fixture(scope="module", params=BOTH, ids=["-".join(both) for both in BOTH])
def front(request, server, tmp_path_factory):
    """A web server that speaks this wire to the server."""
    name, spoken = request.param
    with running(name, spoken, server.upstreams[spoken], tmp_path_factory.mktemp("web")) as front:
        yield front


class Talk:
    """Asks one request after the other, on one connection for as long as it is kept."""

    def __init__(self, address):
        self.address, self.connection = address, None

    def ask(self, **case):
        """The answer's essence; or, as a text, what is wrong with it."""
        self.connection = self.connection or wire.Wire(self.address)
        try:
            response = self.connection.ask(**case)
        except WireError as error:
            self.end()
            return f"{type(error).__name__}: {error}"
        if response.closes:
            self.end()
        return essence(response, case)

    def end(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def differences(front, server, cases):
    """The requests whose answers are not the same as directly, with both."""
    through, directly = Talk(front.address), Talk(server.address)
    found = []
    for case in cases:
        answers = directly.ask(**case), through.ask(**case)
        if not is_same(*answers):
            found.append("\n  ".join([f"{case['method']} {case['target'][:200]}", *(str(each)[:1000] for each in answers)]))
    through.end()
    directly.end()
    return "\n".join(found)


def test_the_echo_example_answers_as_it_does_directly(front, server):
    hinted = [] if (front.name, front.wire) == HINTS_NOT_UNDERSTOOD else [HINTED]
    found = differences(front, server, ECHO + hinted)
    assert not found, found


@needs_flask
def test_a_flask_application_answers_as_it_does_directly(front, server):
    found = differences(front, server, FLASK)
    assert not found, found


def test_odd_targets_arrive_as_the_client_sent_them(front):
    expected = {**{target: target for target in TARGETS}, **TARGETS_CHANGED[front.name][front.wire]}
    seen = {target: described(front.address, target=target) for target in expected}
    assert {target: said if isinstance(said, int) else said["uri"] for target, said in seen.items()} == expected


def test_the_server_knows_the_client_that_the_web_server_saw(front):
    claims = {(name.lower(), value) for name, value in CLAIMS}
    with wire.Wire(front.address, source="127.0.0.9") as client:
        for headers in ([], CLAIMS, [*CLAIMS, ("Connection", "x-forwarded-for, X-Forwarded-Proto, X-Forwarded-Host")]):
            seen = json.loads(client.ask("/", headers=headers, host="shop.example").body)
            fields = {(name.lower(), value) for name, value in seen["headers"]}
            assert (seen["client"], seen["scheme"]) == ("127.0.0.9", "http") and ("host", "shop.example") in fields
            # Debian's files of parameters for nginx pass them on: the server does not believe them there.
            assert not claims & fields or (front.name == "nginx" and front.wire != "http")


@needs_flask
def test_no_client_moves_an_application_to_another_prefix(front):
    for headers in ([], CLAIMS):
        said = wire.fetch(front.address, "/flask/facts/x", headers=headers)
        assert said.status == 200 and json.loads(said.body)["root"] == "/flask"


@pytest.mark.parametrize("size", [0, 1, 100_000, 9 * MIB])
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_bodies(front, size, how):
    body = pattern(size)
    pieces = [body[at:at + 50_000] for at in range(0, size, 50_000)] if how == "chunked" else None
    seen = described(front.address, chunks=pieces, **({} if pieces is not None else {"method": "POST", "body": body}))
    if how == "chunked" and (front.name, front.wire) in CHUNKED_REFUSED:
        assert seen == CHUNKED_REFUSED[front.name, front.wire]
    else:
        assert (seen["body_len"], seen["body_sha256"]) == (size, hashlib.sha256(body).hexdigest())


def test_a_body_that_is_too_large_is_413(front):
    if front.name == "apache" and front.wire in ("http", "fastcgi"):
        pytest.skip("Apache has no limit for bodies that it passes on so: narwhal's counts")
    with wire.Wire(front.address) as client:
        fields = [("Content-Length", str(11 * MIB)), ("Expect", "100-continue")]
        client.send(request_bytes("/", method="POST", headers=fields))
        assert client.response("POST").status == 413


@needs_flask
@pytest.mark.parametrize("end", ["whole", "fails"])
def test_a_streamed_answer_arrives_while_it_is_made_and_looks_cut_off_where_it_is(front, server, end):
    token = f"{front.name}-{front.wire}-{end}"
    with wire.Wire(front.address) as client:
        client.send(request_bytes(f"/flask/stream/{token}/{end}", headers=leaving(front)))
        assert client.head().status == 200
        got = client.until(b"x" * 1000)  # before the application goes on
        (server.app_folder / f"go-{token}").touch()
        if end == "whole":
            got += client.until(b"0\r\n\r\n")
            assert (got.count(b"x"), got.count(b"y")) == (65536, 65536)
        else:
            try:
                got += client.rest()
            except Truncated as cut:
                assert cut.reset
            assert not got.endswith(b"0\r\n\r\n")


def leaving(front):
    """nginx ends a connection at once after an answer that is cut off. The others first keep it for their keep-alive time."""
    return [] if front.name == "nginx" else [("Connection", "close")]


def looks_cut(client):
    """True if the answer ends before its end, or if the web server says an error in its place. Silence is neither."""
    try:
        return client.response().status in (502, 503)
    except Truncated:
        return True


@pytest.mark.parametrize("how", ["", "&chunked=1"])
def test_an_answer_that_is_cut_off_looks_so(front, how):
    if front.name == "lighttpd" and how:
        pytest.skip(LENGTH_GIVEN)
    with wire.Wire(front.address) as client:
        client.send(request_bytes(f"/?exc=late&write=1&size=1000000{how}", headers=leaving(front)))
        assert looks_cut(client)


def test_a_client_that_leaves_disturbs_nobody(front):
    for _ in range(5):
        with wire.Wire(front.address) as client:
            client.send(request_bytes("/?size=30000000"))
            client.head()
        with wire.Wire(front.address) as client:
            client.send(request_bytes("/", method="POST", headers=[("Content-Length", "100000")]) + b"x" * 50_000)
    assert wire.fetch(front.address, "/?size=10").body == b"x" * 10


@needs_flask
def test_an_application_learns_that_its_client_has_left(front, server):
    token = f"{front.name}-{front.wire}"
    with wire.Wire(front.address) as client:
        client.send(request_bytes(f"/flask/endless/{token}"))
        assert client.head().status == 200
    eventually("the generator has ended", (server.app_folder / f"left-{token}").exists, 30)


# ---- prefixes ----
@needs_flask
@pytest.mark.parametrize("name, spoken, replaced", MOUNTED, ids=[f"{name}-{spoken}" for name, spoken, _ in MOUNTED])
def test_the_application_knows_where_the_web_server_has_mounted_it(server, tmp_path, name, spoken, replaced):
    with running(name, spoken, server.upstreams[spoken], tmp_path, replaced) as front:
        said = json.loads(wire.fetch(front.address, "/shop/flask/facts/a%20b?q=1").body)
        assert (said["root"], said["path"], said["url"]) == ("/shop/flask", "/facts/a b", "/shop/flask/facts/a%20b")
        # The web server takes these for paths under /shop too, but the application is not asked for what is above.
        for target in ("//shop/flask/facts/x", "/flask/../shop/flask/facts/x", "/x/../shop/flask/facts/x"):
            assert wire.fetch(front.address, target).status == 404


# ---- connections ----
@pytest.mark.parametrize("name, spoken", [("nginx", "http"), ("nginx", "fastcgi"), ("apache", "http"), ("apache", "fastcgi")])
def test_the_web_server_keeps_its_connections(serve, tmp_path, name, spoken):
    server = serve(example("echo"), "--control-socket", tmp_path / "control.sock", bind=f"{spoken}://127.0.0.1:0")
    with running(name, spoken, server.address, tmp_path) as front:
        for _ in range(20):  # each client connection is new
            assert wire.fetch(front.address, "/").status == 200
        _, metrics, _ = Admin(tmp_path / "control.sock").ask("/metrics")
    # A request may come before the connection of the one before is free again.
    assert 1 <= int(re.search(r"^narwhal_connections_accepted_total (\d+)$", metrics, re.MULTILINE)[1]) <= 10


# ---- Unix sockets ----
@pytest.fixture
def public_folder():
    """For a socket: Apache's processes, of another user, may not enter the folders of tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield folder


@pytest.mark.parametrize("name, spoken", BOTH)
def test_a_unix_socket(serve, tmp_path, public_folder, name, spoken):
    path = f"{public_folder}/n.sock"
    serve(example("echo"), bind=f"{spoken}://unix:{path}?mode=0666")
    with running(name, spoken, path, tmp_path) as front:
        with wire.Wire(front.address, source="127.0.0.9") as client:
            for size in (0, 1, 100_000):
                seen = json.loads(client.ask("/a%20b?x", method="POST", body=b"x" * size, headers=CLAIMS).body)
                assert (seen["client"], seen["uri"], seen["body_len"]) == ("127.0.0.9", "/a%20b?x", size)
        for how in ("", "&chunked=1"):
            if spoken != "fastcgi" or (how and name == "lighttpd"):
                continue  # the others cannot show it where there is no reset; LENGTH_GIVEN
            with wire.Wire(front.address) as client:
                client.send(request_bytes(f"/?exc=late&write=1&size=1000000{how}", headers=leaving(front)))
                assert looks_cut(client)


# ---- logs ----
def test_the_error_log_of_nginx_names_narwhal_where_an_answer_is_cut_off(server, tmp_path):
    line = "FastCGI sent in stderr: \"narwhal: the answer is cut off after its head: see narwhal's error log\""
    with running("nginx", "fastcgi", server.upstreams["fastcgi"], tmp_path) as front:
        for how in ("", "&chunked=1"):
            with wire.Wire(front.address) as client, pytest.raises((Truncated, WireError)):
                client.ask(f"/?exc=late&write=1&size=1000000{how}")
        eventually("both lines", lambda: front.log().count(line) == 2)
