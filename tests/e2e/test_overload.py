"""More than fits: what waits, what is refused with 503, what an idle connection costs, and how evenly work spreads."""
import collections
import resource
import time

import pytest

import proc
from clock import SCALE, eventually, scaled
from load import in_parallel
from server import SANITIZED, example, raise_descriptor_limit
from wire import request_bytes


def test_requests_over_the_queue_bound_get_503_with_retry_after_and_are_logged(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--queue-size", "2", "--access-logfile", "-",
                   "--access-logformat", "%(s)s %(r)s")
    wires = [server.connect(timeout=30) for _ in range(10)]
    try:
        for wire in wires:
            assert wire.ask("/").status == 200
        wires[0].send(request_bytes(f"/?sleep={2 * SCALE}&size=1"))
        assert wires[0].quiet_for(0.3)
        for wire in wires[1:]:
            wire.send(request_bytes("/?size=1"))
        answers = in_parallel(len(wires), lambda index: wires[index].response())
        statuses = collections.Counter(response.status for response in answers)
        assert answers[0].status == 200
        assert statuses == {200: 3, 503: 7}, statuses
        for response in answers:
            if response.status == 503:
                assert int(response.header("Retry-After")) > 0 and response.elapsed < scaled(1.5)
    finally:
        for wire in wires:
            wire.close()
    assert server.get("/").status == 200
    eventually("a line for each 503", lambda: server.stdout().count("503 GET /?size=1 HTTP/1.1\n") == 7)


def test_connections_over_worker_connections_wait_and_are_served(serve):
    server = serve(example("echo"), "-w", "1", "--worker-connections", "5")
    held = [server.connect() for _ in range(5)]
    for wire in held:
        assert wire.ask("/").status == 200
    with server.connect(timeout=20) as waiting:
        waiting.send(request_bytes("/?size=3"))
        assert waiting.quiet_for(0.5)
        assert held[1].ask("/").status == 200  # the connections that it has are served
        held[0].close()
        assert waiting.response().body == b"xxx"
    for wire in held:
        wire.close()


def test_worker_connections_bounds_what_a_worker_holds(serve):
    server = serve(example("echo"), "-w", "2", "--worker-connections", "10", "--header-timeout", "600")
    workers = server.wait_workers(2)
    wires = [server.connect() for _ in range(40)]
    eventually("both full", lambda: [proc.connection_count(pid) for pid in workers] == [10, 10])
    time.sleep(0.2)  # in this time a worker without a limit would accept more
    assert [proc.connection_count(pid) for pid in workers] == [10, 10]
    for wire in wires:
        wire.close()
    assert server.get("/").status == 200


def whole(counts, total):
    return sorted(counts) if sum(counts) == total else None


@pytest.mark.parametrize("way", ["one after another", "at once"])
def test_200_kept_connections_spread_over_4_workers(serve, way, record_property):
    server = serve(example("echo"), "-w", "4", "--threads", "1")
    workers = server.wait_workers(4)
    server.wait_serving()
    wires = []
    try:
        for _ in range(200):
            wire = server.connect()
            wires.append(wire)
            if way == "one after another":
                assert wire.ask("/").status == 200
        for wire in wires if way == "at once" else ():
            wire.send(request_bytes("/"))
        for wire in wires if way == "at once" else ():
            assert wire.response().status == 200
        # On a busy machine the workers may not have seen the end of the connections of the start's check yet.
        spread = eventually("only ours left", lambda: whole([proc.connection_count(pid) for pid in workers], 200), 20)
    finally:
        for wire in wires:
            wire.close()
    record_property("spread", spread)
    print(f"spread of 200 connections, {way}: {spread}")
    assert sum(spread) == 200
    assert spread[0] >= 0.5 * sum(spread) / 4, spread


def cost_of_each(worker, connect, count):
    """Bytes of user memory for each of `count` connections."""
    connect(200)  # what is allocated once is allocated now
    before = proc.rollup(worker, "Private_Dirty")
    connect(count)
    return (proc.rollup(worker, "Private_Dirty") - before) / count


def test_an_idle_connection_costs_under_1_kib(serve, record_property):
    count = 5000
    assert raise_descriptor_limit(count + 1000)
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--keep-alive", "600")
    worker, = server.wait_workers(1)
    wires = []

    def connect(number):
        for _ in range(number):
            wire = server.connect(timeout=40)
            wires.append(wire)
            assert wire.ask("/?size=1").status == 200

    try:
        each = cost_of_each(worker, connect, count)
        with server.load(clients=16, pause=0.01) as load:
            load.wait_for_more(500)
        load.assert_clean(500)
        assert all(wire.ask("/?size=1").status == 200 for wire in wires[::100])
    finally:
        for wire in wires:
            wire.close()
    record_property("bytes_per_connection", each)
    print(f"{each:.0f} bytes of user memory for each of {count} idle connections")
    assert SANITIZED or each < 1024
    eventually("all given back", lambda: proc.connection_count(worker) == 0, 20)


def test_a_slow_head_costs_under_2_kib(serve, record_property):
    count = 1000
    assert raise_descriptor_limit(count + 1000)
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--header-timeout", "600")
    worker, = server.wait_workers(1)
    wires = []

    def connect(number):
        for _ in range(number):
            wire = server.connect(timeout=40)
            wires.append(wire)
            wire.send(b"GET /?size=1 HTTP/1.1\r\nHost: slow\r\nX-Slow: " + b"a" * 300)
        assert server.get("/?size=1").status == 200  # everything before it has been read

    try:
        each = cost_of_each(worker, connect, count)
        for wire in wires[::50]:
            wire.send(b"\r\n\r\n")
            assert wire.response().status == 200
    finally:
        for wire in wires:
            wire.close()
    record_property("bytes_per_slow_head", each)
    print(f"{each:.0f} bytes of user memory for each of {count} slow heads of 350 bytes")
    assert SANITIZED or each < 2048


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def test_more_connections_than_the_soft_limit_of_files_are_held(serve):
    server = serve(example("echo"), "-w", "1", "--worker-connections", "1500", preexec=few_files)
    worker, = server.wait_workers(1)
    assert raise_descriptor_limit(1000)
    wires = [server.connect() for _ in range(500)]
    eventually("all held", lambda: proc.connection_count(worker) == 500)
    assert all(wire.ask("/?size=1").status == 200 for wire in wires[::25])
    for wire in wires:
        wire.close()


def test_an_idle_server_sleeps(serve):
    server = serve(example("echo"), "-w", "2")
    workers = server.wait_workers(2)
    server.wait_serving()
    with server.connect() as wire:
        wire.ask("/")
        everyone = [server.pid, server.template(), *workers]
        before = sum(map(proc.cpu_seconds, everyone))
        time.sleep(2)
        assert sum(map(proc.cpu_seconds, everyone)) - before <= 0.1 * SCALE
