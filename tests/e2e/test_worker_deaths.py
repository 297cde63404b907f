"""When a worker that has ended is replaced: at once if it has served or was ended by hand, with back-off if it never served."""
import os
import re
import signal
import time

import pytest

from clock import eventually, scaled
from load import Background
from server import example, test_plugin

EARLY = "died early"


def boots(server):
    return len(re.findall("Booting worker", server.log()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_worker_that_is_ended_by_hand_has_not_died_early(serve, number):
    server = serve(example("echo"), "-w", "2")
    for _ in range(4):
        before = server.wait_workers(2)
        began = time.monotonic()
        os.kill(before[0], number)
        server.wait_workers(2, without=before[:1])
        assert time.monotonic() - began < scaled(1)
    assert EARLY not in server.log() and "[ERROR]" not in server.log()


def test_the_successor_of_a_worker_that_is_ended_by_hand_does_not_wait_for_its_last_request(serve):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "20")
    before = server.wait_workers(1)
    request = Background(server.get, "/?sleep=2&size=3", timeout=20)
    time.sleep(0.3)  # so that it runs
    os.kill(before[0], signal.SIGTERM)
    eventually("a successor beside it", lambda: len(server.workers()) == 2, 1.5)
    assert server.get("/?size=2", timeout=1.5).body == b"xx"
    assert request.result().body == b"xxx"
    server.wait_workers(1, without=before)


def test_workers_that_are_killed_while_they_serve_are_replaced_at_once(serve):
    server = serve(example("echo"), "-w", "2")
    with server.load(clients=4, keep_alive=False) as load:
        for _ in range(5):
            before = server.wait_workers(2, timeout=1)
            load.wait_for_more(50)
            os.kill(before[0], signal.SIGKILL)
            server.wait_workers(2, without=before[:1], timeout=1)
            time.sleep(0.5)
    assert EARLY not in server.log()


def test_workers_that_crash_at_every_tenth_request_are_replaced_without_a_hot_loop(serve):
    server = serve(example("echo"), "-w", "1", "--probation", "0")
    server.wait_workers(1)
    began, answered = time.monotonic(), 0
    while time.monotonic() - began < 3:
        for _ in range(9):
            answered += server.get("/?size=1", timeout=5).status == 200
        with pytest.raises(Exception):
            server.get("/?crash=1", timeout=5)
    assert EARLY not in server.log()
    # A fork is a quarter of a second after the one before, and not later.
    assert 6 <= boots(server) <= 2 + (time.monotonic() - began) / 0.25
    assert answered >= 9 * 6
    server.wait_workers(1, timeout=2)


def test_an_application_that_ends_its_worker_by_itself_is_not_started_in_a_hot_loop(serve):
    server = serve(config=f"app: {test_plugin('dies_later')}\noptions: {{after: 0.3, code: 0}}\n")
    server.wait_for(rf"{EARLY} \(4 in a row\)")
    time.sleep(2)
    assert boots(server) < 10
