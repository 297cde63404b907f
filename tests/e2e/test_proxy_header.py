"""PROXY headers, versions 1 and 2, which begin a connection and name its client; from bare sockets and from HAProxy."""
import json
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

import wire
from clock import eventually, scaled
from server import example
from wire import request_bytes

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"


def v2(source, port, tlvs=b""):
    family, size = (socket.AF_INET6, 0x21) if ":" in source else (socket.AF_INET, 0x11)
    address = socket.inet_pton(family, source)
    rest = address + address + struct.pack("!HH", port, 80) + tlvs
    return SIGNATURE + struct.pack("!BBH", 0x21, size, len(rest)) + rest


LOCAL = SIGNATURE + b"\x20\0\0\0"
HEADERS = {
    "version 1": (V1, ("203.0.113.9", 4711)),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 80\r\n", ("2001:db8::9", 4711)),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", None),
    "version 2": (v2("203.0.113.9", 4711), ("203.0.113.9", 4711)),
    "version 2, IPv6": (v2("2001:db8::9", 4711), ("2001:db8::9", 4711)),
    "version 2, with 4 KiB of TLVs": (v2("203.0.113.9", 4711, b"\x04" * 4000), ("203.0.113.9", 4711)),
    "version 2, local": (LOCAL, None),
}


@pytest.fixture(scope="module")
def proxied(serve_module):
    return serve_module(example("echo"), "-w", "1", "--proxy-protocol")


def peer(response):
    assert response.status == 200, response
    answer = json.loads(response.body)
    return answer["peer"], answer["peer_port"]


@pytest.mark.parametrize("kind", HEADERS)
def test_the_header_names_the_peer_of_every_request(proxied, kind):
    header, source = HEADERS[kind]
    with proxied.connect() as client:
        expected = source or client.sock.getsockname()[:2]
        client.send(header + request_bytes("/") + request_bytes("/"))
        assert peer(client.response()) == expected
        assert peer(client.response()) == expected
        assert peer(client.ask("/")) == expected


@pytest.mark.parametrize("kind", HEADERS)
def test_it_may_arrive_byte_by_byte(proxied, kind):
    header, source = HEADERS[kind]
    with proxied.connect() as client:
        for byte in header[:200]:
            client.send(bytes([byte]))
        client.send(header[200:])
        assert peer(client.ask("/")) == (source or client.sock.getsockname()[:2])


def test_the_address_that_it_names_decides_about_trust(proxied):
    claim = [("X-Forwarded-For", "6.6.6.6")]
    with proxied.connect() as client:
        client.send(V1)
        assert json.loads(client.ask("/", headers=claim).body)["client"] == "203.0.113.9"
    with proxied.connect() as client:
        client.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 80\r\n")
        assert json.loads(client.ask("/", headers=claim).body)["client"] == "6.6.6.6"


def refused(server, data, **named):
    with server.connect(**named) as client:
        client.send(data)
        response = client.response()
        assert response.closes
        return response.status, response.body


@pytest.mark.parametrize("data, words", [
    (request_bytes("/"), b"no PROXY header"),
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 04711 80\r\n" + request_bytes("/"), b"malformed port"),
    (SIGNATURE + b"\x22\x11\0\0", b"unknown command"),
    (SIGNATURE + b"\x21\x11\xff\xff", b"too long"),
    (b"PROXY UNKNOWN " + b"x" * 200, b"too long"),
])
def test_an_invalid_header_is_refused_with_a_message(proxied, data, words):
    mark = proxied.mark()
    status, body = refused(proxied, data)
    assert status == 400 and words in body
    proxied.wait_for("Invalid request from ip=127.0.0.1: .*" + words.decode(), after=mark)


def test_a_second_header_is_not_a_request(proxied):
    with proxied.connect() as client:
        client.send(V1)
        assert client.ask("/").status == 200
        client.send(V1)
        assert client.response().status == 400


def test_a_header_that_does_not_come_in_time_ends_the_connection(serve):
    server = serve(example("echo"), "--proxy-protocol", "--header-timeout", "1")
    with server.connect() as silent, server.connect() as slow, server.connect() as between:
        slow.send(V1[:20])
        between.send(V1)
        assert silent.end() == "eof"
        assert slow.response().status == 408
        assert between.end() == "eof"


def test_one_version_may_be_asked_for(serve):
    for version, good, bad in (("v1", V1, v2("203.0.113.9", 1)), ("v2", v2("203.0.113.9", 4711), V1)):
        server = serve(example("echo"), "--proxy-protocol", version)
        with server.connect() as client:
            client.send(good)
            assert peer(client.ask("/")) == ("203.0.113.9", 4711)
        assert refused(server, bad)[0] == 400


def test_a_peer_that_may_not_send_one_is_served_without_and_refused_with(serve):
    server = serve(example("echo"), "-w", "1", "--proxy-protocol", "--proxy-allow-from", "10.0.0.1")
    assert peer(server.get("/"))[0] == "127.0.0.1"
    for header in (V1, v2("203.0.113.9", 4711)):
        mark = server.mark()
        status, body = refused(server, header + request_bytes("/"))
        assert status == 403 and b"proxy_allow_ips" in body
        server.wait_for("Invalid request from ip=127.0.0.1: PROXY header from a peer that is not in proxy_allow_ips",
                        after=mark)
    with server.connect() as client:
        for byte in request_bytes("/", method="PUT"):  # it begins as PROXY does
            client.send(bytes([byte]))
        assert client.response("PUT").status == 200


def test_without_the_setting_a_header_is_a_bad_request(serve):
    server = serve(example("echo"))
    assert refused(server, V1)[0] == 400


def test_over_a_unix_socket_it_is_expected_too(serve, tmp_path):
    server = serve(example("echo"), "--proxy-protocol", "--proxy-allow-from", "10.0.0.1", bind=f"unix:{tmp_path}/n.sock")
    with server.connect() as client:
        client.send(V1)
        assert peer(client.ask("/")) == ("203.0.113.9", 4711)
    assert refused(server, request_bytes("/"))[0] == 400


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_a_request_that_moves_to_a_sibling_keeps_its_peer(serve, tmp_path, over):
    server = serve(example("echo"), "-w", "4", "--threads", "1", "--proxy-protocol",
                   bind="127.0.0.1:0" if over == "tcp" else f"unix:{tmp_path}/n.sock")
    server.wait_workers(4)
    clients = [server.connect(timeout=30) for _ in range(20)]
    for client in clients:
        client.send(V1)
        assert client.ask("/?size=1").status == 200
    slow = server.connect(timeout=30)
    slow.send(V1 + request_bytes("/?sleep=4"))
    time.sleep(0.1)  # on its way
    began = time.monotonic()
    for client in clients:
        for _ in range(2):
            assert peer(client.ask("/")) == ("203.0.113.9", 4711)
    assert time.monotonic() - began < scaled(2), "a request waited for the busy handler"
    assert peer(slow.response()) == ("203.0.113.9", 4711)
    for client in [*clients, slow]:
        client.close()


# ---- HAProxy ----

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


@pytest.fixture
def haproxy(tmp_path):
    """haproxy(port, "send-proxy-v2", ...) starts HAProxy in front of the port; returns the address it listens on."""
    if not HAPROXY:
        pytest.skip("haproxy is not installed")
    running = []

    def start(port, *words, mode="tcp", extra=""):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        config = tmp_path / "haproxy.cfg"
        config.write_text(f"""
global
    nbthread 1
defaults
    mode {mode}
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 5s
frontend front
    bind fd@{listener.fileno()}
    default_backend app
backend app
    {extra}
    server app 127.0.0.1:{port} {" ".join(words)}
""")
        running.append(subprocess.Popen([HAPROXY, "-db", "-f", str(config)], stdin=subprocess.DEVNULL,
                                        stderr=open(tmp_path / "haproxy.log", "ab"), pass_fds=[listener.fileno()]))
        address = listener.getsockname()
        listener.close()
        return address

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_haproxy_names_the_client(serve, haproxy, tmp_path, word):
    log = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "2", "--proxy-protocol", "v1" if word == "send-proxy" else "v2",
                   "--access-logfile", log, "--access-logformat", "%(h)s %(c)s %(s)s")
    front = haproxy(server.port, word)
    for source in ("127.0.0.9", "127.0.0.10"):
        with wire.Wire(front, source=source) as client:
            for headers in ([], [("X-Forwarded-For", "6.6.6.6")]):
                answer = json.loads(client.ask("/", headers=headers).body)
                assert (answer["peer"], answer["peer_port"]) == client.sock.getsockname()[:2]
                assert answer["client"] == source
    expected = ["127.0.0.10 127.0.0.10 200"] * 2 + ["127.0.0.9 127.0.0.9 200"] * 2
    eventually("four access lines", lambda: sorted(log.read_text().splitlines()) == expected)


def test_haproxys_health_checks_are_its_own(serve, haproxy, tmp_path):
    log = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "1", "--proxy-protocol", "--access-logfile", log,
                   "--access-logformat", "%(h)s %(U)s %(s)s")
    haproxy(server.port, "send-proxy-v2", "check", "check-send-proxy", "inter", "100ms", extra="option httpchk GET /health")
    # HTTP/1.0: it does not ask for keep-alive and does not send Host.
    eventually("three checks", lambda: log.exists() and log.read_text().count("127.0.0.1 /health 200\n") >= 3)
    assert "Invalid request" not in server.log()


def test_haproxy_in_http_mode_names_the_client_in_a_field(serve, haproxy):
    server = serve(example("echo"), "-w", "1")
    front = haproxy(server.port, mode="http", extra="option forwardfor\n    http-request set-header X-Forwarded-Proto https")
    with wire.Wire(front, source="127.0.0.9") as client:
        answer = json.loads(client.ask("/", headers=[("X-Forwarded-For", "6.6.6.6")]).body)
    assert (answer["peer"], answer["client"], answer["scheme"]) == ("127.0.0.1", "127.0.0.9", "https")
