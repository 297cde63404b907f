"""conf/nginx/narwhal-*.conf as shipped, in a real nginx in front of the real server: every wire carries the same."""
import hashlib
import json

import pytest

import wire
from clock import eventually
from gateway import WIRES
from nginx_front import needs_nginx, nginx  # noqa: F401
from server import example
from wire import Truncated, WireError, request_bytes

pytestmark = needs_nginx
PORTS = {"fastcgi": 9000, "scgi": 9001, "uwsgi": 9002}
MIB = 1024 * 1024


def replaced(name, upstream):
    if upstream.startswith("unix:"):
        return {f"    server 127.0.0.1:{PORTS[name]};": "", f"#server unix:/run/narwhal/{name}.sock;": f"server {upstream};"}
    return {f"server 127.0.0.1:{PORTS[name]};": f"server {upstream};"}


@pytest.fixture(params=["http", *WIRES])
def front(request, serve, nginx):
    """The address of an nginx that speaks this wire to the echo example."""
    name = request.param
    server = serve(example("echo"), "-w", "2", "--threads", "2", bind=f"{name}://127.0.0.1:0")
    upstream = f"127.0.0.1:{server.port}"
    if name == "http":
        return nginx(upstream, tcp=True)
    return nginx(tcp=True, name=f"narwhal-{name}.conf", replaced=replaced(name, upstream))


def seen_by(client, target="/", **parts):
    response = client.ask(target, **parts)
    assert response.status == 200, response
    return json.loads(response.body)


def test_requests_arrive_as_the_client_sent_them(front):
    with wire.Wire(front, source="127.0.0.9") as client:
        seen = seen_by(client, "/a%20b/c?x=1&y=%2F", host="shop.example:8443", method="POST", body=b"hello",
                       headers=[("X-One", "1"), ("Cookie", "a=1"), ("Content-Type", "text/x")])
    fields = {name.lower(): value for name, value in seen["headers"]}
    assert (seen["method"], seen["uri"], seen["body"]) == ("POST", "/a%20b/c?x=1&y=%2F", "hello")
    assert (fields["x-one"], fields["cookie"], fields["content-type"]) == ("1", "a=1", "text/x")
    assert fields["host"].startswith("shop.example")  # Debian's files of parameters leave the port out
    assert (seen["client"], seen["scheme"], seen["protocol"]) == ("127.0.0.9", "http", "HTTP/1.1")


@pytest.mark.parametrize("target", ["/", "//a", "/%E2%82%AC", "/a+b", "/a;b=c", "/%25", "/a/../b", "/?", "/?a=%00", "/" + "x" * 3000])
def test_odd_paths_are_the_same_over_each_wire(front, target):
    with wire.Wire(front) as client:
        assert seen_by(client, target)["uri"] == target


def test_what_a_client_claims_is_not_believed(front):
    claims = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=6.6.6.6;proto=https")]
    with wire.Wire(front, source="127.0.0.9") as client:
        seen = seen_by(client, headers=claims)
    assert (seen["client"], seen["scheme"]) == ("127.0.0.9", "http")


@pytest.mark.parametrize("size", [0, 1, 100_000, 9 * MIB])
@pytest.mark.parametrize("how", ["length", "chunked"])
def test_bodies(front, size, how):
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    with wire.Wire(front, timeout=30) as client:
        if how == "length":
            seen = seen_by(client, "/?nobody=1", method="POST", body=body)
        else:
            pieces = [body[at:at + 50_000] for at in range(0, size, 50_000)]
            client.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")]) + wire.chunked(*pieces))
            seen = json.loads(client.response("POST").body)
    assert (seen["body_len"], seen["body_sha256"]) == (size, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("size", [0, 1, 70_000, 20 * MIB])
@pytest.mark.parametrize("how", ["", "&write=1", "&chunked=1"])
def test_answers(front, size, how):
    with wire.Wire(front, timeout=60) as client:
        for _ in range(2):
            response = client.ask(f"/?size={size}{how}&rh=X-Two:2")
            assert response.status == 200 and response.body == b"x" * size and response.header("X-Two") == "2"


@pytest.mark.parametrize("status", [204, 301, 304, 404, 410, 500, 503])
def test_statuses_and_head(front, status):
    with wire.Wire(front) as client:
        for method in ("GET", "HEAD"):
            response = client.ask(f"/?status={status}&rh=X-Two:2", method=method)
            assert response.status == status and response.header("X-Two") == "2"


def test_an_answer_that_is_cut_off_looks_so(front):
    for how in ("", "&chunked=1"):
        with wire.Wire(front) as client:
            with pytest.raises((Truncated, WireError)):
                client.ask(f"/?exc=late&write=1&size=1000000{how}")


def test_a_client_that_leaves_disturbs_nobody(front):
    for _ in range(10):
        with wire.Wire(front) as client:
            client.send(request_bytes("/?size=30000000"))
            client.head()
    with wire.Wire(front) as client:
        assert client.ask("/?size=10").body == b"x" * 10


@pytest.mark.parametrize("name", WIRES)
def test_a_unix_socket(serve, nginx, tmp_path, name):
    path = f"unix:{tmp_path}/n.sock"
    serve(example("echo"), bind=f"{name}://{path}")
    front = nginx(tcp=True, name=f"narwhal-{name}.conf", replaced=replaced(name, path))
    with wire.Wire(front, source="127.0.0.9") as client:
        for _ in range(5):
            assert seen_by(client)["client"] == "127.0.0.9"
    if name == "fastcgi":  # the others cannot show it where there is no reset
        with wire.Wire(front) as client, pytest.raises((Truncated, WireError)):
            client.ask("/?exc=late&write=1&size=1000000&chunked=1")


def test_the_error_log_of_nginx_has_the_line_about_a_cut(serve, nginx, tmp_path):  # noqa: F811
    server = serve(example("echo"), bind="fastcgi://127.0.0.1:0")
    front = nginx(tcp=True, name="narwhal-fastcgi.conf", replaced=replaced("fastcgi", f"127.0.0.1:{server.port}"))
    for how in ("", "&chunked=1"):
        with wire.Wire(front) as client, pytest.raises((Truncated, WireError)):
            client.ask(f"/?exc=late&write=1&size=1000000{how}")
    line = "FastCGI sent in stderr: \"narwhal: the answer is cut off after its head: see narwhal's error log\""
    eventually("both lines", lambda: (tmp_path / "nginx/error.log").read_text().count(line) == 2)
