"""Each kind of silence has its own limit, and a busy handler stops none of the clocks."""
import contextlib
import time

import pytest

from clock import SCALE, scaled
from load import Background
from server import example
from wire import Truncated, WireError, request_bytes


def seconds_until_end(wire, timeout=15):
    """(what came before the end, seconds until it)"""
    began = time.monotonic()
    try:
        data = wire.rest(timeout)
    except Truncated:
        data = bytes(wire.buffer)
    return data, time.monotonic() - began


def assert_408_or_nothing(data):
    assert data == b"" or data.startswith(b"HTTP/1.1 408"), data


def test_half_a_head_gets_408(serve):
    server = serve(example("echo"), "--header-timeout", "1")
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost:")
        data, took = seconds_until_end(wire)
        assert data.startswith(b"HTTP/1.1 408") and b"\r\n\r\n" in data
        assert 0.8 < took < scaled(6)


def test_dripping_bytes_do_not_stretch_the_head(serve):
    server = serve(example("echo"), "--header-timeout", "1")
    with server.connect() as wire:
        began = time.monotonic()
        with pytest.raises((WireError, OSError)):
            for byte in b"GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + b"a" * 200:
                wire.send(bytes([byte]))
                if not wire.quiet_for(0.1):
                    raise WireError("ended")
        assert 0.8 < time.monotonic() - began < scaled(6)
        assert_408_or_nothing(bytes(wire.buffer))


def test_a_connection_that_says_nothing_is_closed(serve):
    server = serve(example("echo"), "--header-timeout", "1")
    with server.connect() as wire:
        data, took = seconds_until_end(wire)
        assert_408_or_nothing(data)
        assert 0.8 < took < scaled(6)


def test_silence_inside_a_body_gets_408(serve):
    server = serve(example("echo"), "--body-timeout", "1")
    for framing in (("Content-Length", "10"), ("Transfer-Encoding", "chunked")):
        with server.connect() as wire:
            wire.send(request_bytes("/", method="POST", headers=[framing], body=b"5\r\nhe"))
            data, took = seconds_until_end(wire)
            assert data.startswith(b"HTTP/1.1 408"), data
            assert 0.8 < took < scaled(6)


def test_a_slow_body_that_keeps_coming_is_accepted(serve):
    server = serve(example("echo"), "--body-timeout", "1")
    with server.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "8")]))
        for _ in range(8):  # 2.4 s in all, never 1 s of silence
            assert wire.quiet_for(0.3)
            wire.send(b"a")
        assert wire.response().status == 200


def test_an_idle_connection_is_closed_after_keepalive(serve):
    server = serve(example("echo"), "--keep-alive", "1")
    with server.connect() as wire:
        assert not wire.ask("/").closes
        began = time.monotonic()
        assert wire.end() == "eof"
        assert 0.8 < time.monotonic() - began < scaled(6)


def test_keepalive_counts_from_the_last_response(serve):
    server = serve(example("echo"), "--keep-alive", "1")
    with server.connect() as wire:
        for _ in range(4):
            assert wire.ask("/").status == 200
            assert wire.quiet_for(0.5)


def test_keepalive_0_means_one_request_a_connection(serve):
    server = serve(example("echo"), "--keep-alive", "0")
    with server.connect() as wire:
        assert wire.ask("/").closes
        assert wire.end() == "eof"


def test_a_client_that_takes_nothing_is_dropped(serve):
    server = serve(example("echo"), "-w", "1", "--write-timeout", "1", "--threads", "2")
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/?size=50000000"))
        time.sleep(scaled(1) + 2)  # the client's own pause, not a wait for an event
        assert server.get("/").status == 200
        with pytest.raises(Truncated):
            wire.response(timeout=20)


def test_a_writing_handler_is_freed_when_its_client_is_dropped(serve):
    server = serve(example("echo"), "-w", "1", "--write-timeout", "1", "--threads", "1")
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/?size=50000000&write=1"))
        assert server.get("/", timeout=15).status == 200  # the only handler is free again
        with pytest.raises(Truncated):
            wire.response(timeout=20)


def test_a_client_that_sends_its_body_on_and_takes_nothing_is_dropped(serve):
    """Each byte of the body would start body_timeout again, which is far longer."""
    server = serve(example("echo-stream"), "-w", "1", "--threads", "2", "--write-timeout", "1", "--body-timeout", "30")
    with server.connect(receive_buffer=8192) as wire:
        wire.send(request_bytes("/?size=50000000&write=1&noread=1", method="POST",
                                headers=[("Content-Length", "100000")]))
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 15:
                wire.send(b"a")
                time.sleep(0.1)  # the client's own pace
    assert server.get("/").status == 200


@pytest.mark.parametrize("body_bytes", [10, 10_000_000], ids=["body complete", "body buffer full"])
def test_a_client_that_takes_nothing_is_dropped_after_its_body_was_read(serve, body_bytes):
    server = serve(example("echo-stream"), "-w", "1", "--threads", "2", "--write-timeout", "1", "--body-timeout", "30")
    with server.connect(receive_buffer=8192, timeout=8) as wire:
        wire.send(request_bytes("/?size=50000000&write=1&noread=1", method="POST",
                                headers=[("Content-Length", str(body_bytes))]))
        wire.until(b"xxx")  # the answer is on its way, and larger than all buffers
        time.sleep(0.5)  # the client's own pause: the server waits for it by then
        with contextlib.suppress(OSError):
            wire.send(b"a" * body_bytes)
        server.wait_for_gone(wire, timeout=15)


def test_a_slow_reader_that_keeps_taking_is_served_whole(serve):
    server = serve(example("echo"), "-w", "1", "--write-timeout", "1")
    with server.connect(receive_buffer=16384, timeout=40) as wire:
        wire.send(request_bytes("/?size=6000000&write=1"))
        wire.sock.settimeout(scaled(10))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            wire.buffer += wire.sock.recv(16384)
            time.sleep(0.03)
        assert len(wire.response().body) == 6000000


def test_an_answer_without_length_does_not_look_complete_when_its_client_is_dropped(serve):
    server = serve(example("echo"), "-w", "1", "--write-timeout", "1")
    with server.connect(receive_buffer=8192, timeout=30) as wire:
        wire.send(request_bytes("/?size=50000000&chunked=1", version="1.0"))
        server.wait_for_gone(wire)
        with pytest.raises(Truncated) as end:  # only a reset shows it: the end of the connection is the end of the body
            wire.response()
        assert end.value.reset


def test_an_answer_that_only_the_kernel_still_holds_is_not_held_for_a_client_that_takes_nothing(serve):
    """It fits into the socket's buffers: for the server it has been sent long ago."""
    server = serve(example("echo"), "-w", "1", "--keep-alive", "1", "--write-timeout", "1")
    with server.connect(receive_buffer=8192, timeout=30) as wire:
        wire.send(request_bytes("/?size=300000"))
        server.wait_for_gone(wire)
        with pytest.raises(Truncated):
            wire.response()


def test_an_answer_that_only_the_kernel_still_holds_is_taken_whole_by_a_slow_client(serve):
    server = serve(example("echo"), "-w", "1", "--keep-alive", "1", "--write-timeout", "1")
    with server.connect(receive_buffer=8192, timeout=30) as wire:
        wire.send(request_bytes("/?size=300000"))
        end = time.monotonic() + 4
        while time.monotonic() < end:
            wire.buffer += wire.sock.recv(2000)
            time.sleep(0.05)
        assert len(wire.buffer) < 300_000, "it was not slow enough"
        assert len(wire.response().body) == 300_000
        assert wire.end() == "eof"


# ---- the loop continues while the only handler is busy ----
@pytest.fixture
def busy(serve):
    """One worker, one handler thread, and a handler that keeps it for 4 seconds."""
    server = serve(example("echo"), "-w", "1", "--threads", "1", "--header-timeout", "1", "--body-timeout", "1",
                   "--keep-alive", "1")
    idle = server.connect()
    assert idle.ask("/").status == 200
    long = Background(server.get, f"/?sleep={4 * SCALE}", timeout=30)
    server.idle, server.long = idle, long
    time.sleep(0.3)  # lets the handler begin; if it did not, the tests below would be easier to pass
    yield server
    idle.close()
    assert long.result().status == 200


def test_heads_time_out_beside_a_busy_handler(busy):
    with busy.connect() as wire:
        wire.send(b"GET / HT")
        data, took = seconds_until_end(wire)
        assert data.startswith(b"HTTP/1.1 408") and took < scaled(3.5)
    assert not busy.long.done


def test_bodies_time_out_beside_a_busy_handler(busy):
    with busy.connect() as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "9")], body=b"a"))
        data, took = seconds_until_end(wire)
        assert data.startswith(b"HTTP/1.1 408") and took < scaled(3.5)
    assert not busy.long.done


def test_idle_connections_end_beside_a_busy_handler(busy):
    data, took = seconds_until_end(busy.idle)
    assert data == b"" and took < scaled(3.5)
    assert not busy.long.done


def test_refusals_are_answered_beside_a_busy_handler(busy):
    with busy.connect() as wire:
        wire.send(b"GARBAGE\r\n\r\n")
        assert wire.response(timeout=3).status == 400
    assert not busy.long.done


def test_a_quick_request_waits_for_the_only_handler_and_is_served(busy):
    assert busy.get("/", timeout=20).status == 200
