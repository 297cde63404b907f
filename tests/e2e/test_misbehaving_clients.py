"""Clients that are slow on purpose, never read, or never stop: they end by their limits, and no other client notices."""
import json
import threading

import pytest

import proc
from clock import eventually
from server import SANITIZED, example, raise_descriptor_limit
from slow_clients import Slow
from wire import request_bytes

MIB = 1 << 20


def test_slow_clients_of_every_kind_end_by_their_limits_and_do_not_stop_others(serve):
    assert raise_descriptor_limit(1000)
    server = serve(example("echo"), "-w", "1", "--threads", "2", "--header-timeout", "2", "--body-timeout", "2",
                   "--write-timeout", "2")
    worker, = server.wait_workers(1)
    with server.load(clients=4, pause=0.005, target="/?size=13") as load, Slow(server.address, 60, pause=60) as slow:
        load.wait_for_more(200)
        eventually("all slow ones gone", lambda: not slow.clients, 20)
        assert {kind: len(ends) for kind, ends in slow.ended_after.items()} == {"head": 60, "body": 60, "reader": 60}
        assert all(min(ends) > 1.5 for ends in slow.ended_after.values()), "gone before their time"
        load.wait_for_more(50)
    load.assert_clean(250)
    eventually("no connection left", lambda: proc.connection_count(worker) == 0)
    assert server.worker_pids() == [worker]


@pytest.mark.parametrize("target", ["/?size=10", "/?size=20000", "/?size=20000&write=1", "/?size=20000&chunked=1"])
def test_a_pipeline_of_thousands_whose_client_does_not_read_costs_little_and_is_answered_in_the_end(serve, target):
    server = serve(example("echo"), "-w", "1", "--threads", "2")
    worker, = server.wait_workers(1)
    server.wait_serving()
    count = 4000
    with server.connect(timeout=60, receive_buffer=16384) as wire:
        before = proc.status_field(worker, "RssAnon")
        # From a thread: when the server stops reading, as it should, sending stops too.
        sender = threading.Thread(target=wire.sock.sendall, args=(request_bytes(target) * count,), daemon=True)
        sender.start()
        assert server.get("/?size=3").body == b"xxx"
        eventually("the server takes no more", lambda: idle(worker), 20)
        grown = proc.status_field(worker, "RssAnon") - before
        size = len(wire.response().body)
        assert all(len(wire.response().body) == size for _ in range(count - 1))
        sender.join(20)
    assert SANITIZED or grown < 4096, f"{grown} KiB"


def idle(pid, ticks=2):
    """True if a process has used almost no CPU time for a moment."""
    before = proc.cpu_seconds(pid)
    threading.Event().wait(0.3)
    return proc.cpu_seconds(pid) - before <= ticks / 100


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_sends_all_of_a_refused_body_before_reading_still_reads_the_refusal(serve, framing):
    server = serve(example("echo"), "-w", "1", "--limit-request-body", "1000")
    body = b"a" * 600_000
    for _ in range(20):
        with server.connect() as wire:
            if framing == "length":
                wire.send(request_bytes("/", method="POST", body=body))
            else:
                wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")]))
                wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            response = wire.response()
            assert response.status == 413 and response.closes
            assert wire.end() == "eof"


def test_a_client_that_never_stops_sending_a_refused_body_is_cut_off(serve):
    server = serve(example("echo"), "-w", "1", "--limit-request-body", "1000")
    worker, = server.wait_workers(1)
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", str(1 << 40))]))
        assert wire.response().status == 413
        with pytest.raises(OSError):
            for _ in range(100):  # the server reads some of it before it closes
                wire.send(b"a" * MIB)
    eventually("no connection left", lambda: proc.connection_count(worker) == 0)


@pytest.mark.parametrize("later", [True, False], ids=["before it came", "when it was there"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_leaves_a_body_unread_says_whether_the_connection_ends(serve, framing, later):
    server = serve(example("echo-stream"), "-w", "1", "--threads", "2")
    for size in (10, 100_000, 900_000):
        body = b"a" * size if framing == "length" else b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"a" * size)
        field = ("Content-Length", str(size)) if framing == "length" else ("Transfer-Encoding", "chunked")
        with server.connect() as wire:
            wire.send(request_bytes("/?noread=1", method="POST", headers=[field], body=b"" if later else body))
            response = wire.response()
            assert json.loads(response.body)["body_len"] == 0
            assert response.closes or not later
            if later:
                wire.send(body)
            if response.closes:
                assert wire.end() == "eof"  # not a reset, which could overtake the answer
            else:
                assert wire.ask("/?size=3").body == b"xxx"


def test_connections_that_say_nothing_leave_room_again(serve):
    server = serve(example("echo"), "-w", "1", "--worker-connections", "20", "--header-timeout", "1")
    silent = [server.connect() for _ in range(60)]
    assert server.get("/?size=3", timeout=20).body == b"xxx"
    for wire in silent:
        wire.close()
