"""A reload with `canary`: some workers of the new code serve beside the old ones, and are compared with them."""
import signal
import time

import pytest

from clock import eventually, scaled

APP = """import time
def app(environ, start_response):
    time.sleep({sleep})
    start_response("{status}", [])
    return [b"{name}"]
"""


def write(folder, name, status="200 OK", sleep=0):
    (folder / "shop.py").write_text(APP.format(name=name, status=status, sleep=sleep))


@pytest.fixture
def shop(serve, tmp_path):
    def start(*flags):
        write(tmp_path, "v1")
        server = serve("shop:app", "-w", "4", "--threads", "2", "--chdir", tmp_path, "--canary", "25%", *flags)
        server.wait_workers(4)
        return server
    return start


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept alive", "a connection each"])
def test_good_code_is_served_by_some_workers_first_and_then_by_all_and_no_request_is_lost(shop, tmp_path, keep_alive):
    server = shop("--canary-time", "3")
    # Where clients keep their connections, those of the worker that accepts nothing meanwhile come to the new one.
    with server.load(clients=40 if keep_alive else 8, keep_alive=keep_alive, pause=0.02) as load:
        load.wait_for_body(b"v1")
        write(tmp_path, "v2")
        server.send(signal.SIGHUP)
        server.wait_for(r"\[INFO\] Reload: canary: 1 of 4 workers run generation 2; they are compared for 3 s")
        load.wait_for_body(b"v2")
        both = load.bodies[b"v1"]
        load.wait_for_more(100)
        assert load.bodies[b"v1"] > both and server.generations() == [1, 2]
        server.wait_for(r"\[INFO\] Canary passed: generation 2: 0 of \d+ requests failed, 9 in 10 took .* no worker crashed; "
                        r"generation 1: 0 of \d+ requests failed", timeout=40)
        server.wait_for(r"Generation 2 is ready \(4 workers", timeout=40)
        eventually("one generation", lambda: len(server.generations()) == 1, 40)
        load.wait_for_more(50)
    load.assert_clean(300)
    assert server.get("/").text == "v2"


def test_code_that_answers_errors_goes_back_and_clients_of_the_old_code_notice_nothing(shop, tmp_path):
    server = shop("--canary-time", "60")
    before = server.worker_pids()
    with server.load(clients=8, keep_alive=False) as load:
        load.wait_for_body(b"v1")
        write(tmp_path, "v2", status="500 Broken")
        server.send(signal.SIGHUP)
        server.wait_for(r"\[ERROR\] Reload failed at step 'canary': generation 2: \d+ of \d+ requests failed, .*; "
                        r"generation 1: 0 of \d+ requests failed, .*; generation 1 continues to serve", timeout=40)
        eventually("one generation", lambda: len(server.generations()) == 1, 40)
        assert server.worker_pids() == before, "a worker that is forked now would import the new code"
        failures = len(load.failures)
        load.wait_for_more(100)
        assert len(load.failures) == failures
    assert load.failures and all("500" in str(failure) for failure in load.failures), load.failures[:3]
    write(tmp_path, "v3")
    server.send(signal.SIGHUP)
    server.wait_for("canary: 1 of 4 workers run generation 3")


def test_slow_code_goes_back_when_the_time_is_up(shop, tmp_path):
    server = shop("--canary-time", "5")
    with server.load(clients=6, keep_alive=False) as load:
        load.wait_for_body(b"v1")
        write(tmp_path, "v2", sleep=0.15)
        server.send(signal.SIGHUP)
        server.wait_for(r"Reload failed at step 'canary': generation 2: 0 of \d+ requests failed, 9 in 10 took \d{3}", timeout=60)
        load.wait_for_more(50)
    load.assert_clean(100)
    assert server.get("/").text == "v1"


def test_a_canary_that_no_request_has_come_to_is_warned_of(shop, tmp_path):
    """One client keeps its connection to one worker, which most probably stays."""
    server = shop("--canary-time", "2")
    with server.load(clients=1, keep_alive=True, pause=0.02) as load:
        load.wait_for_body(b"v1")
        write(tmp_path, "v2")
        server.send(signal.SIGHUP)
        passed = server.wait_for(r"\[(INFO|WARNING)\] Canary passed: generation 2: 0 of (\d+) requests failed.*", timeout=30)
        assert (passed[1] == "WARNING") == (passed[2] == "0") == ("it is untested" in passed[0]), passed[0]
    load.assert_clean(10)


def test_term_meanwhile_ends_the_server_in_order(shop, tmp_path):
    server = shop("--canary-time", "60")
    with server.load(clients=4, keep_alive=False, accept=lambda response: response.status == 200) as load:
        write(tmp_path, "v2")
        server.send(signal.SIGHUP)
        load.wait_for_body(b"v2")
        load.stop()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < scaled(8)
    load.assert_clean()


def test_a_number_of_workers_and_what_is_none(serve, tmp_path):
    write(tmp_path, "v1")
    server = serve("shop:app", "-w", "3", "--chdir", tmp_path, "--canary", "2", "--canary-time", "2")
    server.wait_workers(3)
    server.send(signal.SIGHUP)
    server.wait_for("canary: 2 of 3 workers run generation 2")
    eventually("two new workers beside the old ones", 
               lambda: sorted(generation for generation, _ in server.workers()) == [1, 1, 1, 2, 2])
    server.wait_for("Generation 2 is ready")
    off = serve("shop:app", "-w", "2", "--chdir", tmp_path, "--canary", "50%", "--canary-time", "0")
    off.reload()
    assert "canary" not in off.log()
