"""A request never waits for a busy worker while a sibling has a free handler: it moves, with its connection."""
import json
import signal
import time

import pytest

from clock import scaled
from load import Background
from server import example
from wire import chunked, request_bytes

BUSY = 6  # seconds that one handler is busy; no other request may wait for it


@pytest.fixture
def busy(serve):
    """A server of 4 workers with one handler each; 40 connections are kept alive, one handler is busy."""
    server = serve(example("echo"), "-w", "4", "--threads", "1")
    server.wait_workers(4)
    wires = [server.connect(timeout=30) for _ in range(40)]
    for wire in wires:
        assert wire.ask("/?size=1").status == 200
    slow = server.connect(timeout=30)
    slow.send(request_bytes(f"/?sleep={BUSY}"))
    time.sleep(0.1)  # on its way
    server.may_wait = False
    began = time.monotonic()
    yield server, wires
    assert server.may_wait or time.monotonic() - began < scaled(BUSY - 2), "a request waited for the busy handler"
    assert slow.response().status == 200
    for wire in [*wires, slow]:
        wire.close()


def test_kept_alive_clients_of_the_busy_worker_are_served_by_its_siblings(busy):
    _, wires = busy
    for _ in range(3):
        for wire in wires:
            assert wire.ask("/?size=5").body == b"xxxxx"


def test_a_request_moves_with_its_body(busy):
    _, wires = busy
    for number, wire in enumerate(wires):
        body = bytes([65 + number % 26]) * (number * 97)
        assert json.loads(wire.ask("/", method="POST", body=body).body)["body_len"] == len(body)


def test_pipelined_requests_move_together_and_are_answered_in_order(busy):
    _, wires = busy
    for wire in wires:
        wire.send(b"".join(request_bytes(f"/?size={size}") for size in (1, 2, 3)))
    for wire in wires:
        assert [len(wire.response().body) for _ in range(3)] == [1, 2, 3]


def test_clients_that_ask_at_once_all_move(busy):
    _, wires = busy
    asked = [Background(wire.ask, "/?size=4") for wire in wires]
    assert all(request.result().body == b"xxxx" for request in asked)


def test_what_cannot_move_waits_and_is_served(serve):
    server = serve(example("echo"), "-w", "2", "--threads", "1")
    server.wait_workers(2)
    wires = [server.connect(timeout=30) for _ in range(12)]
    for wire in wires:
        assert wire.ask("/?size=1").status == 200
    with server.connect(timeout=30) as slow:
        slow.send(request_bytes("/?sleep=2"))
        time.sleep(0.1)
        for wire in wires:
            wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")]) + chunked(b"abc", b"def"))
        for wire in wires:
            assert json.loads(wire.response("POST").body)["body_len"] == 6
        assert slow.response().status == 200


def test_a_reload_meanwhile_loses_nothing(busy):
    """Requests that wait when the reload begins may have to wait longer: siblings that leave accept nothing more."""
    server, wires = busy
    server.may_wait = True
    asked = [Background(wire.ask, "/?size=2") for wire in wires]
    server.process.send_signal(signal.SIGHUP)
    assert all(request.result().body == b"xx" for request in asked)
