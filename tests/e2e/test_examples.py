"""The examples in the documentation do what it says."""
import re
import signal
import time

import pytest

import proc
from clock import eventually, scaled
from server import example
from wire import request_bytes


@pytest.mark.parametrize("name", ["hello", "hello_c"])
def test_hello(serve, name):
    server = serve(example(name), "-w", "2")
    with server.connect() as wire:
        for _ in range(3):
            response = wire.ask("/")
            assert response.status == 200 and response.text == "Hello, world!\n"
            assert response.header("Content-Type").startswith("text/plain")
        assert wire.ask("/", method="HEAD").body == b""
    with server.load(clients=4) as load:
        load.wait_for_more(200)
    load.assert_clean(200)


def events(wire, count, timeout=15):
    """Reads this many server-sent events; returns their texts."""
    text = b""
    while text.count(b"\n\n") < count:
        text += wire.chunk(timeout)
    return [event for event in text.decode().split("\n\n") if event][:count]


@pytest.fixture
def clock(serve):
    return serve(example("clock"), "-w", "1", "--threads", "1", "--graceful-timeout", "20")


def test_the_clock_streams_events(clock):
    with clock.connect() as wire:
        wire.send(request_bytes("/"))
        head = wire.head()
        assert head.status == 200 and head.header("Content-Type").startswith("text/event-stream")
        assert head.header("Transfer-Encoding") == "chunked" and head.header("Content-Length") is None
        assert all(re.search("^data:", event, re.MULTILINE) for event in events(wire, 3))


def test_many_clocks_need_one_thread(clock):
    """A deferred exchange holds no handler: with one thread, 100 streams tick and a plain request is served."""
    wires = [clock.connect(timeout=30) for _ in range(100)]
    try:
        for wire in wires:
            wire.send(request_bytes("/"))
        for wire in wires:
            assert wire.head().status == 200
            assert len(events(wire, 2)) == 2
        with clock.connect() as late:
            late.send(request_bytes("/"))
            assert late.head().status == 200
    finally:
        for wire in wires:
            wire.close()


def test_clients_that_go_are_forgotten(clock):
    worker, = clock.wait_workers(1)
    for ending in ("close", "reset"):
        wires = [clock.connect() for _ in range(50)]
        for wire in wires:
            wire.send(request_bytes("/"))
        for wire in wires:
            wire.head()
        for wire in wires:
            getattr(wire, ending)()
        eventually("all connections given back", lambda: proc.connection_count(worker) == 0, 20)
    with clock.connect() as wire:
        wire.send(request_bytes("/"))
        assert wire.head().status == 200 and events(wire, 1)
    assert clock.worker_pids() == [worker]


def test_a_drain_ends_the_streams_whole(clock):
    with clock.connect() as wire:
        wire.send(request_bytes("/"))
        wire.head()
        events(wire, 1)
        clock.send(signal.SIGTERM)
        deadline = time.monotonic() + scaled(15)
        while True:
            size = int(wire._line(deadline, "chunk size"), 16)
            if size == 0:
                break
            wire._exactly(size + 2, deadline, "chunk", None)
        assert wire._line(deadline, "the end") == b"" and wire.end() == "eof"
        assert clock.wait_exit() == 0


def test_a_stream_that_has_begun_may_outlive_the_request_timeout(serve):
    server = serve(example("clock"), "-w", "1", "--timeout", "1")
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        wire.send(request_bytes("/?ms=100&n=25"))
        response = wire.response()
        assert response.body.count(b"\n\n") == 25 and response.elapsed > 2
    assert server.worker_pids() == [worker]


def test_a_clock_counts_and_ends(clock):
    with clock.connect() as wire:
        response = wire.ask("/?n=3&ms=10")
        assert re.findall(rb"^id: (\d+)$", response.body, re.MULTILINE) == [b"1", b"2", b"3"]
        assert wire.ask("/?n=1&ms=10").status == 200  # the connection is kept


def test_the_clocks_period_is_an_option(serve):
    server = serve(config=f"app: {example('clock')}\noptions: {{ms: 10}}\n")
    assert server.get("/?n=50", timeout=10).body.count(b"\n\n") == 50
