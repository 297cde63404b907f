"""The example proxy in front of another server of ours: what each side gets, bodies larger than its memory, and an upstream
or a client that is slow or leaves."""
import hashlib
import json
import random

import pytest

import proc
from clock import eventually
from load import Background
from server import SANITIZED, example
from wire import Truncated, chunked, request_bytes

MIB = 1024 * 1024
NOISE = random.Random(5).randbytes(MIB)

pytestmark = pytest.mark.skipif(not example("proxy").exists(), reason="built without libcurl")


@pytest.fixture
def upstream(serve):
    return serve(example("echo-stream"), "-w", "1", "--threads", "8")


@pytest.fixture
def proxy(serve, upstream):
    return proxy_of(serve, upstream)


def proxy_of(serve, upstream, *args):
    return serve(example("proxy"), "-w", "1", "--threads", "4", "--option", f"upstream={url(upstream)}", *args)


def url(server):
    return f"http://127.0.0.1:{server.port}"


def test_the_upstream_sees_the_clients_request(serve, upstream):
    proxy = proxy_of(serve, upstream, "--forwarded-allow-ips", "192.0.2.1")
    with proxy.connect() as wire:
        answer = wire.ask("/a%2Fb/../c?x=%20", method="PUT", body=b"some bytes", headers=[
            ("Connection", "X-Mine"), ("X-Mine", "1"), ("Cookie", "a=b"), ("X-Forwarded-For", "9.9.9.9"), ("Expect", "100-continue")])
        assert answer.status == 200 and answer.header("Content-Type") == "application/json"
        seen = json.loads(answer.body)
        assert (seen["method"], seen["uri"], seen["body"]) == ("PUT", "/a%2Fb/../c?x=%20", "some bytes")
        assert sorted(map(tuple, seen["headers"])) == [
            ("Content-Length", "10"), ("Cookie", "a=b"), ("Host", "test"), ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Host", "test"), ("X-Forwarded-Proto", "http")]
        assert wire.ask("/", headers={"X-Forwarded-For": "9.9.9.9"}).text.count("9.9.9.9") == 0
        assert json.loads(wire.ask("/", method="POST").body)["body_len"] == 0
        assert wire.ask("/", method="DELETE").status == 200
        assert wire.ask("/?size=77", method="HEAD").header("Content-Length") == "77"
        for status in (204, 304, 404, 503):
            assert wire.ask(f"/?status={status}&rh=X-A:1&rh=X-A:2").all("X-A") == ["1", "2"]


def test_a_client_that_a_trusted_proxy_names_is_named_to_the_upstream(proxy):
    answer = proxy.get("/", headers=[("X-Forwarded-For", "192.0.2.7")])  # the peer is 127.0.0.1, which is trusted
    assert ["X-Forwarded-For", "192.0.2.7"] in json.loads(answer.body)["headers"]


def test_all_requests_of_a_thread_take_one_connection(proxy, upstream):
    with proxy.load(clients=4, target="/?size=2000") as load:
        load.wait_for_more(300)
    load.assert_clean(300)
    worker, = upstream.worker_pids()
    assert 1 <= proc.connection_count(worker) <= 5  # of four handler threads, and of the one that runs the loop meanwhile


def test_a_proxy_is_reloaded_under_load(proxy):
    with proxy.load(clients=4, target="/?size=2000") as load:
        load.wait_for_more(50)
        proxy.reload()
        load.wait_for_more(50)
    load.assert_clean(100)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_larger_than_the_memory_passes_through(proxy, framing):
    count = 48
    worker, = proxy.wait_workers(1)
    proxy.get("/")
    before = proc.status_field(worker, "VmHWM")
    headers = [("Content-Length", str(count * MIB))] if framing == "length" else [("Transfer-Encoding", "chunked")]
    with proxy.connect(timeout=60) as wire:
        wire.send(request_bytes("/", method="POST", headers=headers))
        for _ in range(count):
            wire.send(NOISE if framing == "length" else chunked(NOISE)[:-5])
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")
        seen = json.loads(wire.response().body)
    assert seen["body_len"] == count * MIB
    assert seen["body_sha256"] == hashlib.sha256(NOISE * count).hexdigest()
    if not SANITIZED:
        assert proc.status_field(worker, "VmHWM") - before < 8 * 1024  # KiB


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_download_larger_than_the_memory_passes_through_at_the_clients_speed(proxy, framing):
    size = 48 * MIB
    worker, = proxy.wait_workers(1)
    proxy.get("/")
    before = proc.status_field(worker, "VmHWM")
    with proxy.connect(timeout=60, receive_buffer=64 * 1024) as wire:
        wire.send(request_bytes(f"/?size={size}" + ("&chunked=1" if framing == "chunked" else "&write=1")))
        assert wire.head().header("Content-Length") == (str(size) if framing == "length" else None)
        got = 0
        if framing == "chunked":
            while piece := wire.chunk():
                got += len(piece)
        else:
            while got < size:
                got += len(wire.sock.recv(MIB)) + len(wire._take(len(wire.buffer)))
        assert got == size
        assert wire.ask("/").status == 200
    if not SANITIZED:
        assert proc.status_field(worker, "VmHWM") - before < 8 * 1024  # KiB


def test_without_an_upstream_the_answer_is_502_and_the_log_says_why(proxy, upstream):
    worker, = proxy.wait_workers(1)
    assert proxy.get("/").status == 200
    address = url(upstream)
    upstream.stop()
    with proxy.connect() as wire:
        for _ in range(3):
            answer = wire.ask("/there?x=1")
            assert (answer.status, answer.text) == (502, "Bad Gateway\n")
    proxy.wait_for(rf"GET /there: upstream {address}: .*(refused|connect)", count=3)
    assert proxy.worker_pids() == [worker]


def test_a_slow_upstream_costs_504_and_nobody_else(serve, upstream):
    proxy = proxy_of(serve, upstream, "--option", "timeout=1")
    with proxy.connect() as slow, proxy.connect() as other:
        slow.send(request_bytes("/?sleep=4"))
        for _ in range(20):
            assert other.ask("/").status == 200
        assert slow.response().status == 504
    proxy.wait_for(r"GET /: upstream http://127\.0\.0\.1:\d+: nothing for 1 s")


def test_an_upstream_that_fails_in_the_middle_cuts_the_answer(proxy):
    with proxy.connect() as wire:
        wire.send(request_bytes("/?size=100000&exc=late"))
        with pytest.raises(Truncated):
            wire.response()
    assert proxy.get("/").status == 200


def test_when_a_client_leaves_its_transfer_ends(serve, upstream):
    proxy = proxy_of(serve, upstream, "--option", "timeout=100")
    there, = upstream.wait_workers(1)
    waiting = proxy.connect()
    waiting.send(request_bytes("/?sleep=3"))
    uploading = proxy.connect()
    uploading.send(request_bytes("/", method="POST", headers=[("Content-Length", "1000000")], body=b"a part"))
    reading = proxy.connect(receive_buffer=16 * 1024)
    reading.send(request_bytes(f"/?size={20 * MIB}&chunked=1"))
    assert reading.head().status == 200
    eventually("three transfers", lambda: proc.connection_count(there) == 3)
    waiting.reset()
    uploading.close()
    reading.close()
    eventually("no transfer", lambda: proc.connection_count(there) == 0, 20)
    assert proxy.get("/").status == 200


def test_an_upload_that_the_upstream_does_not_take_is_answered_all_the_same(proxy):
    """The upstream answers without reading the body."""
    with proxy.connect(timeout=30) as wire:
        Background(wire.send, request_bytes("/?noread=1&status=413", method="POST", body=NOISE * 8))
        assert wire.response().status == 413


def test_the_options_are_checked_when_the_server_starts(serve):
    server = serve(example("proxy"), "--option", "upstream=127.0.0.1:9000", wait=False)
    assert server.wait_exit() != 0
    assert "option 'upstream': '127.0.0.1:9000': " in server.log()
