"""Clients of every kind for minutes on end: memory stays, quick requests stay quick."""
import random
import time

import proc
from clock import SCALE, eventually
from load import Background, in_parallel
from server import SANITIZED, example, raise_descriptor_limit
from wire import WireError, chunked, request_bytes

NOISE = random.Random(3).randbytes(1 << 20)


def odd_client(server, dice):
    """One visit of a client that may do anything."""
    wire = server.connect(receive_buffer=dice.choice([None, 8192]), timeout=30)
    try:
        body = NOISE[:dice.choice([0, 1, 1000, 65537, 300_000])]
        requests = [request_bytes(f"/?size={dice.choice([0, 10, 100_000])}&chunked=1"),
                    request_bytes("/", method="POST", body=body),
                    request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                                  body=chunked(body or b"x")),
                    request_bytes("/?exc=late&size=1000"), request_bytes("/?exc=early"), b"GARBAGE\r\n\r\n",
                    request_bytes("/?sleep=0.05")]
        data = b"".join(dice.choices(requests, k=dice.randint(1, 6)))
        data = data[:dice.choice([len(data), dice.randint(0, len(data))])]
        while data:
            cut = dice.choice([len(data), dice.randint(1, len(data))])
            wire.send(data[:cut])
            data = data[cut:]
        if dice.random() < 0.7:
            wire.shut_down_writing()
            wire.rest(20)
        elif dice.random() < 0.5:
            wire.reset()
    except (WireError, OSError):
        pass  # the server may refuse, cut off and close as it sees fit; other clients judge it
    finally:
        wire.close()


def test_odd_clients_leave_no_memory_and_hurt_nobody(serve, seconds):
    server = serve(example("echo"), "-w", "1", "--threads", "4")
    worker, = server.wait_workers(1)
    dice = random.Random(11)

    def visit_for(length):
        end = time.monotonic() + length
        visits = 0
        while time.monotonic() < end:
            in_parallel(8, lambda _: odd_client(server, random.Random(dice.random())))
            visits += 8
        return visits

    with server.load(clients=2, pause=0.01) as load:
        visit_for(seconds / 4)
        before = proc.status_field(worker, "RssAnon")
        visits = visit_for(seconds)
        after = proc.status_field(worker, "RssAnon")
    load.assert_clean(100)
    print(f"{visits} visits, {before} KiB before, {after} KiB after")
    assert SANITIZED or after <= before + 4096
    eventually("all connections given back", lambda: proc.connection_count(worker) == 0, 40)
    assert server.worker_pids() == [worker]


def test_quick_requests_stay_under_5_ms_beside_a_slow_one(serve, seconds):
    server = serve(example("echo"), "-w", "1", "--threads", "2")
    server.wait_serving()
    end = time.monotonic() + min(seconds, 20)

    def slow():
        while time.monotonic() < end:
            assert server.get("/?sleep=1").status == 200

    running = Background(slow)
    with server.load(clients=2, pause=0.005) as load:
        running.result(120)
    load.assert_clean(500)
    print(f"p50, p99, max in ms: {[round(load.percentile(share) * 1e3, 2) for share in (.5, .99, 1)]}")
    assert load.percentile(0.99) < 0.005 * SCALE


def test_5000_idle_connections_do_not_slow_64_active_ones(serve):
    assert raise_descriptor_limit(6000)
    server = serve(example("echo"), "-w", "1", "--worker-connections", "6000", "--keep-alive", "600")
    server.wait_serving()

    def active():
        with server.load(clients=64, target="/?size=13", pause=0.02) as load:
            load.wait_for_more(8000, 120)
        load.assert_clean(8000)
        return load.percentile(0.5), load.percentile(0.99)

    alone = active()
    wires = [server.connect() for _ in range(5000)]
    for wire in wires:
        assert wire.ask("/?size=1").status == 200
    beside = active()
    for wire in wires:
        wire.close()
    print(f"p50, p99 of 64 active ones: alone {alone}, beside 5,000 idle ones {beside}")
    assert beside[0] < alone[0] * 1.5 + 0.002


def test_50_clients_never_wait_10_s_for_the_one_that_does(serve):
    server = serve(example("echo"), "-w", "4", "--threads", "1", "--timeout", "60")
    server.wait_workers(4)
    long = Background(server.get, "/?sleep=10&size=1", timeout=40)
    time.sleep(0.5)
    with server.load(clients=50, keep_alive=False, pause=0.05) as load:
        assert long.result().status == 200
    load.assert_clean(1000)
    print(f"{load.answered} answers, p99 {load.percentile(.99) * 1e3:.1f} ms, max {max(load.latencies) * 1e3:.1f} ms")
    assert max(load.latencies) < 2 * SCALE


def test_1000_event_streams(serve, seconds):
    assert raise_descriptor_limit(3000)
    server = serve(example("clock"), "-w", "1", "--worker-connections", "2000")
    worker, = server.wait_workers(1)
    wires = [server.connect() for _ in range(1000)]
    for wire in wires:
        wire.send(request_bytes("/"))
    for wire in wires:
        assert wire.head().status == 200
    end = time.monotonic() + min(seconds, 30)
    before = None
    while time.monotonic() < end:
        for wire in wires:
            assert wire.chunk(30)
        before = before or proc.status_field(worker, "RssAnon")
    assert SANITIZED or proc.status_field(worker, "RssAnon") <= before + 4096
    for wire in wires:
        wire.reset()
    eventually("all given back", lambda: proc.connection_count(worker) == 0, 20)
