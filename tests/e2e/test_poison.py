"""A request that crashes workers again and again is refused, and nothing else is."""
import os
import signal
import time

import pytest

from clock import SCALE, eventually
from load import Background
from server import example
from wire import WireError, request_bytes


def dies(server, target, method="GET"):
    """True if the connection ended without an answer."""
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes(target, method=method))
        try:
            return wire.response(method)
        except (WireError, OSError):
            return None


def kill_workers(server, target, times, workers):
    for _ in range(times):
        mark = server.mark()
        assert dies(server, target) is None
        server.wait_for("was sent signal|was sent SIG|exited with", after=mark)
        server.wait_workers(workers, timeout=40)


def test_a_request_that_has_crashed_workers_is_refused_until_it_has_been_quiet(serve):
    server = serve(example("echo"), "-w", "2", "--poison-limit", "3", "--poison-window", "10")
    server.wait_workers(2)
    kill_workers(server, "/die?crash=1", 3, 2)
    server.wait_for(r"\[ERROR\] Poison breaker: GET /die was running in 3 workers that died within 10 s: it is answered 503")
    refused = dies(server, "/die?crash=1&other=2")
    assert refused.status == 503 and refused.header("Retry-After") == "10"
    assert server.get("/die").status == 503, "the query does not matter"
    for target in ("/", "/die/x", "/di"):
        assert server.get(target).status == 200
    assert dies(server, "/die", method="DELETE").status == 200
    server.wait_for(r"\[WARNING\] Poison breaker: GET /die is let through again; 2 requests were answered 503", timeout=40)
    assert server.get("/die").status == 200


def test_without_the_setting_nothing_is_refused(serve):
    server = serve(example("echo"), "-w", "2")
    server.wait_workers(2)
    kill_workers(server, "/die?crash=1", 4, 2)
    assert server.get("/die").status == 200 and "Poison" not in server.log()


def test_requests_beside_the_one_that_crashes_are_not_suspected(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "4", "--poison-limit", "2", "--poison-window", "60")
    for _ in range(2):
        server.wait_workers(1, timeout=40)
        beside = [Background(dies, server, "/beside?sleep=20") for _ in range(2)]
        time.sleep(0.5 * SCALE)
        kill_workers(server, "/die?crash=1", 1, 1)
        assert [request.result() for request in beside] == [None, None]
    server.wait_for("Poison breaker: GET /die was running in 2 workers")
    assert server.get("/beside").status == 200 and server.get("/die").status == 503
    assert "Poison breaker: GET /beside" not in server.log()


@pytest.mark.parametrize("end", ["os._exit(3)", "os._exit(0)", "os.abort()", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_however_an_application_ends_its_worker(serve, tmp_path, end):
    (tmp_path / "ends.py").write_text(f"""import os, signal
def app(environ, start_response):
    if environ["PATH_INFO"] == "/die":
        {end}
    start_response("200 OK", [])
    return [b"here"]
""")
    server = serve("ends:app", "-w", "1", "--chdir", tmp_path, "--poison-limit", "2", "--poison-window", "60")
    server.wait_workers(1)
    for _ in range(2):
        pid, = server.wait_workers(1, timeout=40)
        assert dies(server, "/die") is None
        eventually("the worker gone", lambda: pid not in server.worker_pids())
    server.wait_for("Poison breaker: GET /die was running in 2 workers")
    server.wait_workers(1, timeout=40)
    assert server.get("/die").status == 503 and server.get("/").text == "here"


def test_a_request_that_hangs_until_its_worker_is_gone_counts(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "2", "--timeout", "1", "--graceful-timeout", "1", "--poison-limit", "2",
                   "--poison-window", "60")
    for _ in range(2):
        stuck, = server.wait_workers(1, timeout=40)
        assert server.get("/hang?sleep=60", timeout=30).status == 504
        eventually("the worker gone", lambda: stuck not in server.worker_pids(), 40)
    server.wait_for("Poison breaker: GET /hang was running in 2 workers")
    server.wait_workers(1, timeout=40)
    assert server.get("/hang", timeout=30).status == 503


def test_a_request_whose_worker_falls_silent_counts(serve, tmp_path):
    """The heartbeat ends it: its loop does not turn, so `timeout` cannot act."""
    (tmp_path / "stops.py").write_text("""import os, signal
def app(environ, start_response):
    if environ["PATH_INFO"] == "/stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    start_response("200 OK", [])
    return [b"here"]
""")
    server = serve("stops:app", "-w", "1", "--chdir", tmp_path, "--heartbeat-timeout", "1", "--poison-limit", "2",
                   "--poison-window", "60")
    for _ in range(2):
        silent, = server.wait_workers(1, timeout=40)
        assert dies(server, "/stop") is None
        server.wait_workers(1, without=[silent], timeout=40)
    server.wait_for("Poison breaker: GET /stop was running in 2 workers")
    assert server.get("/stop").status == 503 and server.get("/").text == "here"


def test_workers_that_an_operator_or_a_reload_ends_do_not_count(serve):
    server = serve(example("echo"), "-w", "1", "--threads", "2", "--graceful-timeout", "1", "--poison-limit", "1")
    server.wait_workers(1)
    for end in (signal.SIGTERM, None):
        pid, = server.wait_workers(1, timeout=40)
        long = Background(dies, server, "/long?sleep=30")
        time.sleep(0.5 * SCALE)
        if end is None:
            server.reload()
        else:
            os.kill(pid, end)
        eventually("the worker gone", lambda: pid not in server.worker_pids(), 40)
        assert long.result() is None or long.result().status >= 500
    server.wait_workers(1, timeout=40)
    assert server.get("/long").status == 200 and "Poison" not in server.log()


def test_a_reload_lets_it_through(serve):
    server = serve(example("echo"), "-w", "1", "--poison-limit", "1", "--poison-window", "600")
    server.wait_workers(1)
    kill_workers(server, "/die?crash=1", 1, 1)
    server.wait_for("Poison breaker: GET /die was running in 1 workers")
    assert server.get("/die").status == 503
    server.reload()
    server.wait_for("Poison breaker: GET /die is let through again; 1 request was answered 503")
    eventually("let through", lambda: server.get("/die").status == 200)


def test_a_refused_request_with_a_body_leaves_its_connection_in_order(serve):
    server = serve(example("echo"), "-w", "1", "--poison-limit", "1", "--poison-window", "600")
    server.wait_workers(1)
    assert dies(server, "/die?crash=1", method="POST") is None
    server.wait_for("Poison breaker: POST /die")
    server.wait_workers(1, timeout=40)
    with server.connect(timeout=30) as wire:
        for _ in range(3):
            wire.send(request_bytes("/die", method="POST", headers=[("Content-Length", "5")], body=b"12345"))
            assert wire.response("POST").status == 503
        assert wire.ask("/").status == 200
