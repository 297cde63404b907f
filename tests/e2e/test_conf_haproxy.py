"""conf/haproxy/*.cfg as shipped, in a real HAProxy in front of the real server: each way carries the same."""
import hashlib
import importlib.util
import json
import re
import subprocess

import pytest

import wire
from clock import eventually
from haproxy_front import FOLDER, HAPROXY, Haproxy, haproxy, needs_haproxy  # noqa: F401
from server import WSGI, example, run
from wire import Truncated, WireError, request_bytes

pytestmark = needs_haproxy
MIB = 1024 * 1024
PROXY_LINE = "#default-server send-proxy-v2 check-send-proxy"
# What is different: the file, what is replaced in it, what the address of narwhal begins with, and flags of narwhal.
WAYS = {"http": ("narwhal.cfg", {}, "", []),
        "proxy": ("narwhal.cfg", {PROXY_LINE: PROXY_LINE[1:]}, "", ["--proxy-protocol", "v2"]),
        "fastcgi": ("narwhal-fastcgi.cfg", {}, "fastcgi://", [])}


@pytest.fixture(scope="module", params=WAYS)
def front(request, serve_module, tmp_path_factory):
    """A HAProxy that speaks in this way to the echo example; `server` is that."""
    name, replaced, prefix, flags = WAYS[request.param]
    server = serve_module(example("echo"), "-w", "2", "--threads", "2", *flags, bind=prefix + "127.0.0.1:0")
    process = Haproxy(tmp_path_factory.mktemp("haproxy"), name, [server.address], replaced)
    process.way, process.server = request.param, server
    process.wait_up(1)
    yield process
    process.end()


def expect_411(response):
    assert response.status == 411 and b"Content-Length" in response.body


def seen_by(client, target="/", **parts):
    response = client.ask(target, **parts)
    assert response.status == 200, response
    return json.loads(response.body)


def test_requests_arrive_as_the_client_sent_them(front):
    with wire.Wire(front.address, source="127.0.0.9") as client:
        seen = seen_by(client, "/a%20b/c?x=1&y=%2F", host="shop.example:8443", method="POST", body=b"hello",
                       headers=[("X-One", "1"), ("Cookie", "a=1"), ("Content-Type", "text/x"), ("Authorization", "Basic eDp5")])
    fields = {name.lower(): value for name, value in seen["headers"]}
    assert (seen["method"], seen["uri"], seen["body"]) == ("POST", "/a%20b/c?x=1&y=%2F", "hello")
    assert (fields["x-one"], fields["cookie"], fields["content-type"]) == ("1", "a=1", "text/x")
    assert (fields["host"], fields["authorization"]) == ("shop.example:8443", "Basic eDp5")
    assert (seen["client"], seen["scheme"], seen["protocol"]) == ("127.0.0.9", "http", "HTTP/1.1")


@pytest.mark.parametrize("target", ["/", "//a", "/%E2%82%AC", "/a+b", "/a;b=c", "/%25", "/a/../b", "/?", "/?a=%00",
                                    "/" + "x" * 3000])
def test_odd_paths_are_the_same_in_each_way(front, target):
    with wire.Wire(front.address) as client:
        assert seen_by(client, target)["uri"] == target


def test_what_a_client_claims_is_not_believed(front):
    claims = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
              ("Forwarded", "for=6.6.6.6;proto=https"), ("X-Forwarded-Ssl", "on"), ("X-Forwarded-Protocol", "ssl"),
              ("SCRIPT_NAME", "/evil"), ("PATH_INFO", "/evil"), ("X_Forwarded_For", "6.6.6.6"), ("X_Real_IP", "6.6.6.6")]
    with wire.Wire(front.address, source="127.0.0.9") as client:
        seen = seen_by(client, "/shop", headers=claims)
    assert (seen["client"], seen["scheme"], seen["path"]) == ("127.0.0.9", "http", "/shop")
    names = {name.lower() for name, _ in seen["headers"]}
    assert not {"script_name", "path_info", "x_forwarded_for", "x_real_ip", "forwarded"} & names
    assert "6.6.6.6" not in str(seen) and "evil" not in str(seen)


@pytest.mark.parametrize("size", [0, 1, 100_000, 9 * MIB])
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_bodies(front, size, how):
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    with wire.Wire(front.address, timeout=30) as client:
        if how == "chunked" and front.way == "fastcgi":  # HAProxy cannot send them
            client.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")]))
            return expect_411(client.response("POST"))
        if how == "length":
            seen = seen_by(client, "/?nobody=1", method="POST", body=body)
        else:
            pieces = [body[at:at + 50_000] for at in range(0, size, 50_000)]
            client.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")]) + wire.chunked(*pieces))
            seen = json.loads(client.response("POST").body)
    assert (seen["body_len"], seen["body_sha256"]) == (size, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("size", [0, 70_000, 5 * MIB])
@pytest.mark.parametrize("how", ["", "&write=1", "&chunked=1"])
def test_answers(front, size, how):
    with wire.Wire(front.address, timeout=60) as client:
        for _ in range(2):
            response = client.ask(f"/?size={size}{how}&rh=X-Two:2")
            assert response.status == 200 and response.body == b"x" * size and response.header("X-Two") == "2"


@pytest.mark.parametrize("status", [204, 301, 304, 404, 410, 500, 503])
def test_statuses_and_head(front, status):
    with wire.Wire(front.address) as client:
        for method in ("GET", "HEAD"):
            response = client.ask(f"/?status={status}&rh=X-Two:2", method=method)
            assert response.status == status and response.header("X-Two") == "2"


def test_an_answer_that_is_cut_off_looks_so(front):
    for how in ("", "&chunked=1"):
        with wire.Wire(front.address) as client:
            with pytest.raises((Truncated, WireError)):
                client.ask(f"/?exc=late&write=1&size=1000000{how}")
    if front.way == "fastcgi":
        eventually("HAProxy logs what narwhal says about it", lambda: front.log().count("the answer is cut off") >= 2)


def test_a_client_that_leaves_disturbs_nobody(front):
    for _ in range(10):
        with wire.Wire(front.address) as client:
            client.send(request_bytes("/?size=30000000"))
            client.head()
        with wire.Wire(front.address) as client:
            client.send(request_bytes("/", method="POST", body=b"x" * 1_000_000)[:-500_000])
    with wire.Wire(front.address) as client:
        assert client.ask("/?size=10").body == b"x" * 10


# ---- Flask ----
APP = """
import os, time
from flask import Flask, Response, jsonify, request
app = Flask(__name__)

@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def seen(path):
    return jsonify(method=request.method, path=request.path, args=request.args, length=len(request.get_data()),
                   client=request.remote_addr, url=request.url, prefix=request.script_root)

@app.route("/streamed")
def streamed():
    return Response((b"%d\\n" % number for number in range(20_000)), mimetype="text/plain")

@app.route("/waits")
def waits():
    def parts():
        yield b"first,"
        while not os.path.exists("go-on"):
            time.sleep(0.01)
        yield b" second"
    return Response(parts(), mimetype="text/plain")

@app.route("/fails")
def fails():
    raise ValueError("on purpose")
"""


@pytest.mark.skipif(not WSGI.exists() or importlib.util.find_spec("flask") is None,
                    reason="needs the WSGI plugin and python3-flask")
@pytest.mark.parametrize("way", WAYS)
def test_a_flask_application(serve, haproxy, tmp_path, way):  # noqa: F811
    (tmp_path / "seen_app.py").write_text(APP)
    name, replaced, prefix, flags = WAYS[way]
    server = serve("seen_app:app", "--pythonpath", tmp_path, "--threads", "2", *flags, bind=prefix + "127.0.0.1:0")
    with wire.Wire(haproxy(server.address, name=name, replaced=replaced).address, source="127.0.0.9") as client:
        claims = [("X-Forwarded-For", "6.6.6.6"), ("SCRIPT_NAME", "/evil"), ("Script-Name", "/evil")]
        seen = seen_by(client, "/a%20b/c?x=1&y=%2F", host="shop.example", method="POST", body=b"x" * 100_000, headers=claims)
        assert seen == {"method": "POST", "path": "/a b/c", "args": {"x": "1", "y": "/"}, "length": 100_000, "prefix": "",
                        "client": "127.0.0.1" if way == "http" else "127.0.0.9", "url": "http://shop.example/a%20b/c?x=1&y=%2F"}
        assert client.ask("/", method="HEAD").body == b""
        for target, status in (("/fails", 500), ("/", 200), ("/a", 200)):
            assert client.ask(target).status == status
        assert client.ask("/", method="DELETE").status == 405
        assert client.ask("/streamed").body == b"".join(b"%d\n" % number for number in range(20_000))
        client.send(request_bytes("/waits"))
        client.head()
        assert client.chunk() == b"first,"  # it does not wait for the end
        (server.folder / "go-on").touch()
        assert client.chunk() == b" second"


# ---- the file itself ----
@pytest.mark.parametrize("name", ["narwhal.cfg", "narwhal-fastcgi.cfg"])
def test_it_is_valid_as_it_is(name):
    done = subprocess.run([HAPROXY, "-c", "-f", FOLDER / name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "WARNING" not in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize("name", ["narwhal.cfg", "narwhal-fastcgi.cfg"])
def test_haproxy_waits_longer_than_the_server_and_closes_idle_connections_first(name):
    settings = dict(re.findall(r"^\s*(timeout|keepalive)\s*[:=]\s*(\d+)", run("--print-config", "app.so").stdout, re.MULTILINE))
    (patience,) = re.findall(r"^ +timeout server (\d+)s$", (FOLDER / name).read_text(), re.MULTILINE)
    assert int(settings["timeout"]) < int(patience) <= int(settings["timeout"]) + 10
    idle = 5  # pool-purge-delay: the default, and the file does not change it
    assert "pool-purge-delay " not in (FOLDER / name).read_text() and 2 * idle < int(settings["keepalive"])
