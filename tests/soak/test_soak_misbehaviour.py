"""Clients that mean no good, in numbers: slow ones, ones that break off, floods. Others do not notice, nothing is left."""
import os
import random
import re
import shutil
import struct
import socket
import subprocess
import threading
import time

import pytest

import proc
from clock import eventually
from load import Background
from server import SANITIZED, example, raise_descriptor_limit
from slow_clients import LARGE, Slow
from wire import chunked, dial, request_bytes

MIB = 1 << 20


def ordinary(server, seconds):
    """Requests a second that 16 ordinary clients get answered, by wrk; each of them answered, and well."""
    host, port = server.address
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "--timeout", "5s", f"http://{host}:{port}/?size=13"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    assert "Socket errors" not in said and "Non-2xx" not in said, said
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_3000_slow_clients_cost_16_ordinary_ones_less_than_a_tenth(serve):
    assert raise_descriptor_limit(8000)
    server = serve(example("echo"), "-w", "2", "--threads", "2")
    workers = server.wait_workers(2)

    def measured(times):
        """[(requests a second, CPU of the workers for each in microseconds)]: the second is the steadier figure."""
        figures = []
        for _ in range(times):
            before = sum(map(proc.cpu_seconds, workers))
            rate = ordinary(server, 6)
            figures.append((round(rate), round((sum(map(proc.cpu_seconds, workers)) - before) / (rate * 6) * 1e6, 2)))
        return figures

    ordinary(server, 2)
    alone = measured(2)
    with Slow(server.address, 1000) as slow:
        beside = measured(3)
        assert sum(slow.alive.values()) == 3000, f"gone before their time: {slow.alive}"
        memory = [proc.status_field(pid, "RssAnon") for pid in workers]
        # A head's limit is 30 s; bodies and readers are under min_rate after one or two windows of 30 s.
        eventually(f"all slow ones gone: {slow.alive}", lambda: not slow.clients, 120, pause=0.5)
        after = {kind: round(max(seconds), 1) for kind, seconds in slow.ended_after.items()}
    eventually("no connection left", lambda: not any(map(proc.connection_count, workers)), 20)
    alone += measured(2)
    print(f"ordinary requests a second, us of CPU each: alone {alone}, beside 3,000 slow ones {beside}; last gone after {after} s; "
          f"workers' memory then {memory} KiB ({LARGE} bytes of response for each reader)")
    assert server.worker_pids() == workers
    assert max(beside)[0] >= 0.9 * max(alone)[0]


class Peak:
    """The largest growth of a process's own memory while this is watched, in KiB."""

    def __init__(self, pid):
        self.pid, self.growth, self.stopping = pid, 0, threading.Event()
        self.before = proc.status_field(pid, "RssAnon")
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def _watch(self):
        while not self.stopping.wait(0.05):
            self.growth = max(self.growth, proc.status_field(self.pid, "RssAnon") - self.before)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("plugin", ["echo", "echo-stream"])
def test_an_upload_of_200_mib_costs_the_worker_less_than_4_mib(serve, tmp_path, plugin, framing):
    folder = tmp_path / "uploads"  # not a tmpfs, whose files are memory by another name
    folder.mkdir()
    server = serve(example(plugin), "-w", "1", "--tmp-upload-dir", folder)
    worker, = server.wait_workers(1)
    server.wait_serving()
    piece = os.urandom(MIB)
    with server.connect(timeout=120) as wire, Peak(worker) as peak:
        if framing == "length":
            wire.send(request_bytes("/", method="POST", headers=[("Content-Length", str(200 * MIB))]))
        else:
            wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")]))
            piece = b"%x\r\n%s\r\n" % (MIB, piece)
        for _ in range(200):
            wire.send(piece)
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")
        assert b'"body_len": %d' % (200 * MIB) in wire.response().body
    print(f"{plugin}, {framing}: the worker grew by {peak.growth} KiB")
    assert SANITIZED or peak.growth < 4096


@pytest.mark.parametrize("how", ["write", "chunked"])
def test_a_response_of_200_mib_to_a_reader_of_1_mib_a_second_costs_less_than_4_mib(serve, how, seconds):
    """Beyond what the plugin holds itself, which is all there when the head is. Whole, it takes 200 s."""
    server = serve(example("echo"), "-w", "1", "--threads", "2")
    worker, = server.wait_workers(1)
    server.wait_serving()
    slow_for = min(200, max(seconds, 40))  # then as quickly as it comes; longer than `timeout` in any case
    with server.connect(timeout=120) as wire:
        wire.send(request_bytes(f"/?size={200 * MIB}&{how}=1"))
        wire.head()
        with Peak(worker) as peak:
            began, got = time.monotonic(), len(wire.buffer)
            while got < 200 * MIB:
                data = wire.sock.recv(256 * 1024)
                assert data, f"ended after {got} bytes"
                got += len(data)
                ahead = got / MIB - (time.monotonic() - began)
                if 0 < ahead and time.monotonic() - began < slow_for:
                    time.sleep(ahead)  # the reader's own slowness
    print(f"{how}: the worker grew by {peak.growth} KiB")
    assert SANITIZED or peak.growth < 4096
    assert server.worker_pids() == [worker]


RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST


def breaks_off(address, dice, requests):
    """One client that resets its connection at a random point of head, body or response."""
    request, answer_size = dice.choice(requests)
    with dial(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if dice.random() < 0.6:
            sock.sendall(request[:dice.randint(0, len(request))])
        else:
            sock.sendall(request)
            wanted = dice.randint(0, answer_size)
            while wanted > 0 and (data := sock.recv(min(wanted, 65536))):
                wanted -= len(data)


def test_100000_connections_reset_at_random_points_leave_nothing(serve, tmp_path):
    config = f"routes:\n  - {{prefix: '', app: {example('echo')}}}\n  - {{prefix: /stream, app: {example('echo-stream')}}}\n"
    server = serve("-w", "1", "--threads", "2", "--worker-connections", "64", config=config)
    worker, = server.wait_workers(1)
    body = os.urandom(100_000)
    requests = [(request_bytes("/?size=10"), 100), (request_bytes("/?size=300000"), 300_000),
                (request_bytes("/?size=600000&write=1"), 600_000), (request_bytes("/?size=100000&chunked=1"), 100_000),
                (request_bytes("/", method="POST", body=body[:1000]), 400),
                (request_bytes("/", method="POST", body=body), 400),
                (request_bytes("/stream", method="POST", body=body), 400),
                (request_bytes("/stream", method="POST", headers=[("Transfer-Encoding", "chunked")],
                               body=chunked(body[:30_000], body[:10])), 400),
                (request_bytes("/?sleep=0.002"), 100), (request_bytes("/") * 8, 3000), (b"NONSENSE\r\n\r\n", 100)]

    def storm(count, seed):
        dice = random.Random(seed)
        for _ in range(count):
            try:
                breaks_off(server.address, dice, requests)
            except OSError:
                pass  # the server may be quicker

    def settled():
        eventually("no connection left", lambda: proc.connection_count(worker) == 0, 30)
        return len(proc.descriptors(worker)), proc.thread_count(worker), proc.status_field(worker, "RssAnon")

    storm(20_000, 1)  # what is allocated once is allocated now
    before = settled()
    began = time.monotonic()
    with server.load(clients=2, pause=0.02, timeout=30) as load:
        storms = [Background(storm, 47_500, seed) for seed in (2, 3)]
        for each in storms:
            each.result(3000)
    load.assert_clean(100)
    after = settled()
    print(f"100,000 resets in {time.monotonic() - began:.0f} s; descriptors, threads, KiB: before {before}, after {after}")
    assert after[:2] == before[:2] and (SANITIZED or after[2] <= before[2] + 2048)
    assert server.worker_pids() == [worker]
    wires = [server.connect() for _ in range(64)]  # every place is free again
    for wire in wires:
        assert wire.ask("/?size=1").status == 200
    for wire in wires:
        wire.close()


def test_a_flood_of_connections_over_the_limit_is_served_in_turn(serve):
    assert raise_descriptor_limit(4000)
    server = serve(example("echo"), "-w", "2", "--worker-connections", "100", "--keep-alive", "1", "--backlog", "2048")
    workers = server.wait_workers(2)
    # Each is answered when those before it have been idle for a second.
    wires = [server.connect(timeout=120) for _ in range(1500)]
    for wire in wires:
        wire.send(request_bytes("/?size=1"))
    for wire in wires:
        assert wire.response().status == 200
        wire.close()
    assert server.worker_pids() == workers
    assert server.get("/").status == 200
