"""Request bodies: in memory, spooled, chunked, large; and clients that disconnect at every stage."""
import hashlib
import json
import os
import random
import time

import pytest

import proc
from clock import SCALE, eventually
from load import Background, in_parallel
from server import SANITIZED, example
from wire import WireError, chunked, request_bytes

MIB = 1024 * 1024
NOISE = random.Random(2).randbytes(8 * MIB)


@pytest.fixture(scope="module")
def echo(serve_module):
    return serve_module(example("echo"), "-w", "1", "--threads", "4")


def assert_arrived(response, body):
    assert response.status == 200
    answer = json.loads(response.body)
    assert answer["body_len"] == len(body)
    assert answer["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert answer["body"] == body[:256].decode("latin-1")


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, MIB, 8 * MIB])
def test_a_body_arrives_as_it_was_sent(echo, size):
    with echo.connect(timeout=40) as wire:
        assert_arrived(wire.ask("/", method="POST", body=NOISE[:size]), NOISE[:size])
        assert_arrived(wire.ask("/", method="PUT", body=b"after"), b"after")


@pytest.mark.parametrize("piece", [1, 1000, 65536, 3 * MIB])
def test_a_chunked_body_arrives_as_it_was_sent(echo, piece):
    body = NOISE[:20_000 if piece == 1 else 8 * MIB]
    pieces = [body[at:at + piece] for at in range(0, len(body), piece)]
    with echo.connect(timeout=40) as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")],
                                body=chunked(*pieces, trailers=b"X-Sum: 1\r\n")))
        assert_arrived(wire.response(), body)
        assert_arrived(wire.ask("/", method="POST", body=b"after"), b"after")


def test_many_uploads_at_once_do_not_mix(echo):
    def upload(number):
        body = NOISE[number * 1000:number * 1000 + 300_000 + number]
        assert_arrived(echo.get("/", method="POST", body=body, timeout=40), body)
        return True
    assert in_parallel(16, upload) == [True] * 16


def spooled_files(pid):
    return [path for path in proc.descriptors(pid).values() if "(deleted)" in path or "/#" in path]


def test_a_large_body_waits_in_an_unlinked_file_in_tmp_upload_dir(serve, tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    server = serve(example("echo"), "-w", "1", "--tmp-upload-dir", folder)
    worker, = server.wait_workers(1)
    upload = Background(server.get, "/?sleep=1", method="POST", body=NOISE[:MIB], timeout=40)
    spooled = eventually("a spooled body", lambda: spooled_files(worker))
    assert all(path.startswith(str(folder)) for path in spooled)
    assert os.listdir(folder) == []
    assert_arrived(upload.result(), NOISE[:MIB])
    eventually("the file's end", lambda: not spooled_files(worker))


def test_a_small_body_needs_no_file(serve):
    server = serve(example("echo"), "-w", "1", "--body-buffer-size", "100000", "--tmp-upload-dir", "/nonexistent")
    assert_arrived(server.get("/", method="POST", body=NOISE[:100_000]), NOISE[:100_000])


def test_a_full_or_missing_spool_folder_costs_that_request_alone(serve):
    server = serve(example("echo"), "-w", "1", "--tmp-upload-dir", "/nonexistent")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        try:
            wire.send(request_bytes("/", method="POST", body=NOISE[:MIB]))
            assert wire.response().status in (500, 503, 507)
        except (WireError, OSError):
            pass  # refused while the body was still being sent: the answer may be lost in the reset
    assert server.get("/").status == 200
    assert server.worker_pids() == workers


def anonymous_bytes(pid):
    return proc.status_field(pid, "RssAnon") * 1024


def test_an_upload_of_64_mib_does_not_grow_the_worker(serve):
    server = serve(example("echo"), "-w", "1")
    worker, = server.wait_workers(1)
    server.wait_serving()
    before = anonymous_bytes(worker)
    piece, digest, peak = NOISE[:MIB], hashlib.sha256(), before
    with server.connect(timeout=60) as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", str(64 * MIB))]))
        for _ in range(64):
            wire.send(piece)
            digest.update(piece)
            peak = max(peak, anonymous_bytes(worker))
        answer = json.loads(wire.response().body)
        assert (answer["body_len"], answer["body_sha256"]) == (64 * MIB, digest.hexdigest())
    assert SANITIZED or max(peak, anonymous_bytes(worker)) - before < 8 * MIB


def test_a_response_of_64_mib_to_a_slow_client_does_not_grow_the_worker(serve):
    """Beyond the memory of the plugin itself, which is allocated when the head arrives."""
    server = serve(example("echo"), "-w", "1")
    worker, = server.wait_workers(1)
    server.wait_serving()
    with server.connect(timeout=60, receive_buffer=65536) as wire:
        wire.send(request_bytes(f"/?size={64 * MIB}&write=1"))
        wire.head()
        before = peak = anonymous_bytes(worker)
        got = len(wire.buffer)
        while got < 64 * MIB:
            data = wire.sock.recv(256 * 1024)
            assert data
            got += len(data)
            if got % MIB < len(data):
                peak = max(peak, anonymous_bytes(worker))
    assert got == 64 * MIB
    assert SANITIZED or peak - before < 8 * MIB


# ---- clients that disconnect ----
STAGES = {
    "before a byte": b"",
    "inside the request line": b"GET / HT",
    "inside a field": b"GET / HTTP/1.1\r\nHost: te",
    "before the body": request_bytes("/", method="POST", headers=[("Content-Length", "5")]),
    "inside the body": request_bytes("/", method="POST", headers=[("Content-Length", "5")], body=b"he"),
    "inside a spooled body":
        request_bytes("/", method="POST", headers=[("Content-Length", "500000")], body=NOISE[:200_000]),
    "inside a chunk": request_bytes("/", method="POST", headers=[("Transfer-Encoding", "chunked")], body=b"5\r\nhe"),
    "while the handler runs": request_bytes("/?sleep=0.3"),
    "while a written response is leaving": request_bytes("/?size=20000000&write=1"),
    "while a large response is leaving": request_bytes("/?size=20000000"),
    "with more requests after it": request_bytes("/?sleep=0.1") * 5,
}


@pytest.mark.parametrize("ending", ["reset", "close"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_that_breaks_off_leaves_nothing_behind(echo, stage, ending):
    worker, = echo.wait_workers(1)
    assert echo.get("/").status == 200  # descriptors that are opened once, at the first connection, are open now
    eventually("idle", lambda: proc.connection_count(worker) == 0)
    before = proc.descriptors(worker)
    for wait in (0, 0.05):
        for _ in range(5):
            wire = echo.connect(receive_buffer=8192)
            wire.send(STAGES[stage])
            time.sleep(wait)
            wire.reset() if ending == "reset" else wire.close()
    assert echo.get("/").status == 200
    eventually("all connections given back", lambda: proc.connection_count(worker) == 0, 20)
    eventually(f"all descriptors given back; before {before}, now {proc.descriptors(worker)}",
               lambda: len(proc.descriptors(worker)) <= len(before))
    assert echo.worker_pids() == [worker]


@pytest.mark.parametrize("part", [STAGES[stage] for stage in STAGES if stage.startswith("inside")],
                         ids=[stage for stage in STAGES if stage.startswith("inside")])
def test_a_client_that_half_closes_after_a_request_is_answered_and_disconnected(echo, part):
    """It may have finished sending, but an incomplete request cannot be completed any more."""
    with echo.connect() as wire:
        wire.send(request_bytes("/?sleep=0.2&size=3") + part)
        wire.shut_down_writing()
        assert wire.response().body == b"xxx"
        rest = wire.rest(timeout=5)
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400"), rest


@pytest.mark.parametrize("how", ["", "&write=1", "&chunked=1"])
def test_hundreds_that_break_off_in_a_large_response_do_not_stop_the_worker(echo, how):
    """A bug once closed other connections that were waiting to be read."""
    def visitor(number):
        for visit in range(int(80 / SCALE)):
            wire = echo.connect(receive_buffer=8192)
            wire.send(request_bytes(f"/?size=20000000{how}") + request_bytes("/"))
            time.sleep(0.01 if visit % 3 else 0)
            wire.reset() if (number + visit) % 2 else wire.close()
        return echo.get("/").status

    assert in_parallel(8, visitor) == [200] * 8


def test_broken_clients_do_not_harm_good_ones(echo):
    with echo.load(clients=4) as load:
        for _ in range(10):
            for data in STAGES.values():
                wire = echo.connect(receive_buffer=8192)
                wire.send(data)
                wire.reset()
        load.wait_for_more(50)
    load.assert_clean(50)
