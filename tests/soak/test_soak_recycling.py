"""Workers that are replaced all the time, for minutes: no request is lost, and memory stays."""
import time

import pytest

import proc
from server import SANITIZED, WSGI, example

needs_python = pytest.mark.skipif(not WSGI.exists(),
                                  reason="this build has no WSGI plugin: it needs the package python3-dev")
APP = """
kept = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        kept.append(b"x" * 1048576 + b"y")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("app", ["native", pytest.param("python", marks=needs_python)])
def test_max_requests_20_and_a_reload_every_5_seconds_lose_no_request(serve, tmp_path, seconds, app):
    (tmp_path / "recycled.py").write_text(APP)
    served = example("hello") if app == "native" else "recycled:app"
    server = serve(served, "--chdir", tmp_path, "-w", "2", "--threads", "2", "--max-requests", "20")
    end = time.monotonic() + seconds
    with server.load(clients=8, pause=0, timeout=30) as load:
        while time.monotonic() < end:
            load.wait_for_more(20)
            time.sleep(min(5, max(0, end - time.monotonic())))
            server.reload(timeout=60)
    replaced = server.log().count("Autorestarting worker")
    print(f"{load.answered} answers, {len(load.failures)} failures, {replaced} workers replaced")
    load.assert_clean(100)
    assert replaced > seconds / 2


@needs_python
def test_a_leak_of_1_mib_a_request_stays_bounded(serve, tmp_path, seconds):
    (tmp_path / "recycled.py").write_text(APP)
    server = serve("recycled:app", "--chdir", tmp_path, "-w", "2", "--max-worker-memory", "200M")
    most, end = 0, time.monotonic() + seconds
    with server.load(clients=4, target="/leak", pause=0.05, timeout=30) as load:
        while time.monotonic() < end:
            most = max(most, proc.largest_pss(server.worker_pids()))
            time.sleep(0.05)
    replaced = server.log().count("Autorestarting worker")
    print(f"{load.answered} answers, at most {most >> 20} MiB in a worker, {replaced} workers replaced")
    load.assert_clean(100)
    assert replaced >= 2
    assert SANITIZED or most < 500 * 1024 * 1024
