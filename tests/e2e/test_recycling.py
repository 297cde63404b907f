"""max_requests, max_worker_memory and max_worker_lifetime: a worker is replaced, and nothing is lost."""
import os
import re
import signal
import textwrap
import time

import pytest

import proc
from clock import eventually, scaled
from load import Background
from server import SANITIZED, WSGI, example, run
from wire import request_bytes

PASSED = r"\[(\d+)\] \[INFO\] Autorestarting worker after current request\."
needs_python = pytest.mark.skipif(not WSGI.exists(),
                                  reason="this build has no WSGI plugin: it needs the package python3-dev")


def python_app(folder, body, setup=""):
    """An application that answers with its pid, after `body` has run. `setup` runs at its import."""
    (folder / "recycled.py").write_text(f"""\
import os
kept = []
{textwrap.dedent(setup)}
def app(environ, start_response):
    {body}
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
""")
    return "recycled:app"


def passed(server, after=0):
    """The pids of the workers that have passed a limit, in order."""
    return [int(pid) for pid in re.findall(PASSED, server.log()[after:])]


# ---- max_requests ----
def test_a_worker_is_replaced_after_max_requests_and_the_log_says_so(serve):
    server = serve(example("hello"), "--max-requests", "5")
    first = server.wait_workers(1)
    for _ in range(5):
        assert server.get("/").status == 200
    server.wait_workers(1, without=first)
    assert passed(server) == first
    server.wait_for(rf"\[INFO\] Worker \(pid:{first[0]}\) has answered 5 requests \(max_requests: 5\): "
                    "it serves until its successor is ready")
    server.wait_for(rf"Worker exiting \(pid: {first[0]}\)")
    log = server.log()
    ready_first = [log.index(f"Booting worker with pid: {server.worker_pids()[0]}"),
                   log.index(f"Worker exiting (pid: {first[0]})")]
    assert ready_first == sorted(ready_first), "the successor boots before the old worker leaves"


def test_max_requests_1_serves_about_one_request_in_each_worker(serve):
    server = serve(example("hello"), "-w", "1", "--max-requests", "1")
    for _ in range(5):
        before = server.wait_workers(1)
        assert server.get("/").status == 200
        server.wait_workers(1, without=before)
    assert len(passed(server)) == 5


@pytest.mark.parametrize("flags", [["--max-requests", "0"], ["--max-requests-jitter", "3"],
                                   ["--max-requests", "0", "--max-requests-jitter", "3"]], ids=" ".join)
def test_0_is_off_and_a_jitter_alone_does_nothing(serve, flags):
    server = serve(example("hello"), *flags)
    first = server.wait_workers(1)
    with server.load(clients=4) as load:
        load.wait_for_more(300)
    load.assert_clean(300)
    assert server.worker_pids() == first and not passed(server)


def test_the_jitter_is_drawn_once_for_each_worker(serve):
    server = serve(example("hello"), "-w", "1", "--max-requests", "3", "--max-requests-jitter", "4")
    for _ in range(6):
        before = server.wait_workers(1)
        answered = 0
        while not set(passed(server)) & set(before):
            assert server.get("/").status == 200
            answered += 1
            time.sleep(0.02)  # the log line is written after the answer
        assert 3 <= answered <= 9
        server.wait_workers(1, without=before)
    limits = [int(drawn or 3) for drawn in re.findall(r"max_requests: 3(?:, with its jitter (\d+))?\)", server.log())]
    assert len(limits) == 6 and set(limits) <= {3, 4, 5, 6, 7}


def test_a_kept_alive_client_gets_whole_answers_and_connection_close(serve):
    server = serve(example("hello"), "--max-requests", "3")
    first = server.wait_workers(1)
    wire = server.connect()
    closes = False
    for _ in range(2000):
        wire.send(request_bytes("/"))
        response = wire.response()
        assert response.status == 200
        if closes := response.closes:
            break
        time.sleep(0.005)
    assert closes, "the worker that is retired announces it"
    wire.close()
    server.wait_workers(1, without=first)


def test_a_long_request_of_a_replaced_worker_is_finished(serve):
    server = serve(example("echo"), "--threads", "2", "--max-requests", "2", "--graceful-timeout", "30")
    first = server.wait_workers(1)
    slow = Background(server.get, "/?sleep=2.5&size=7", timeout=20)
    time.sleep(0.4)
    for _ in range(2):
        server.get("/?size=1")
    eventually("a second worker", lambda: set(server.worker_pids()) - set(first))
    assert slow.result().body == b"xxxxxxx"
    server.wait_workers(1, without=first)


@pytest.mark.parametrize("app", ["native", pytest.param("python", marks=needs_python)])
@pytest.mark.parametrize("reloads", [0, 3])
def test_no_request_is_lost_by_kept_alive_clients(serve, tmp_path, app, reloads):
    """(tests/soak has the same for a minute.)"""
    served = example("hello") if app == "native" else python_app(tmp_path, "pass")
    server = serve(served, "--chdir", tmp_path, "-w", "2", "--threads", "2", "--max-requests", "20")
    with server.load(clients=8, pause=0.002, timeout=30) as load:
        for _ in range(reloads):
            load.wait_for_more(100)
            server.reload()
        eventually("six workers that have passed the limit", lambda: len(passed(server)) >= 6, 30)
        load.wait_for_more(100)
    load.assert_clean(200)


def test_nothing_is_lost_when_workers_die_and_their_number_changes_meanwhile(serve):
    server = serve(example("hello"), "-w", "3", "--max-requests", "25")
    with server.load(clients=6, pause=0.002, timeout=30) as load:
        for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU, signal.SIGTTIN):
            load.wait_for_more(60)
            server.send(number)
        load.wait_for_more(60)
    load.assert_clean(200)
    with server.load(clients=6, pause=0.002, timeout=30) as load:
        load.wait_for_more(60)
        os.kill(server.worker_pids()[0], signal.SIGKILL)
        load.wait_for_more(100)
    assert len(load.failures) <= 6, load.reasons()  # what the killed one had in hand
    assert all("refused" not in reason.lower() for reason in load.reasons())
    server.wait_workers(3)


def test_one_worker_in_eight_is_replaced_at_a_time(serve):
    server = serve(example("hello"), "-w", "8", "--max-worker-lifetime", "1")
    first = set(server.wait_workers(8))
    most = 0
    end = time.monotonic() + scaled(30)
    while first & set(server.worker_pids()):
        most = max(most, len(server.workers()))
        assert time.monotonic() < end, server.tail()
    assert most <= 10, "eight, a successor, and one that leaves"


def test_a_successor_that_cannot_boot_leaves_the_old_worker_in_service(serve, tmp_path):
    if not WSGI.exists():
        pytest.skip("this build has no WSGI plugin")
    app = python_app(tmp_path, "pass", "if os.path.exists('broken'): raise RuntimeError('the database is away')")
    server = serve(app, "--chdir", tmp_path, "--max-requests", "3")
    first = server.wait_workers(1)
    (tmp_path / "broken").touch()
    with server.load(clients=2, timeout=30) as load:
        server.wait_for("the database is away")
        server.wait_for(r"a worker died early \(2 in a row\); its replacement is forked in")
        load.wait_for_more(100)
        assert first[0] in server.worker_pids()
        (tmp_path / "broken").unlink()
        server.wait_for(rf"Worker exiting \(pid: {first[0]}\)", timeout=30)
        load.wait_for_more(50)
    load.assert_clean(150)


def test_term_during_a_replacement(serve):
    server = serve(example("hello"), "-w", "2", "--max-requests", "1")
    load = server.load(clients=4, pause=0).start()
    load.wait_for_more(100)
    server.send(signal.SIGTERM)
    assert server.wait_exit() == 0
    load.stop()
    assert not [str(failure) for failure in load.failures if failure.reused]


# ---- max_worker_lifetime ----
def test_a_worker_is_replaced_when_its_lifetime_is_over(serve):
    server = serve(example("hello"), "-w", "2", "--max-worker-lifetime", "2")
    first = server.wait_workers(2)
    with server.load(clients=4) as load:
        eventually("two new workers", lambda: not set(first) & set(server.worker_pids()), 20)
        load.wait_for_more(50)
    load.assert_clean(50)
    server.wait_for(rf"Worker \(pid:{first[0]}\) has served for 2 s \(max_worker_lifetime: 2\)")


# ---- max_worker_memory ----
@needs_python
@pytest.mark.skipif(SANITIZED, reason="the memory is the sanitizer's")
def test_a_leak_stays_bounded_and_costs_no_request(serve, tmp_path):
    app = python_app(tmp_path, "kept.append(b'x' * 1048576 + b'y')")
    server = serve(app, "--chdir", tmp_path, "-w", "2", "--max-worker-memory", "100M")
    most = 0
    with server.load(clients=4, pause=0.02, timeout=30) as load:
        end = time.monotonic() + scaled(60)
        while len(passed(server)) < 5:
            assert time.monotonic() < end, server.tail()
            most = max(most, proc.largest_pss(server.worker_pids()))
            time.sleep(0.05)
    load.assert_clean(200)
    server.wait_for(r"uses 1\d\d\.\d MiB of memory \(max_worker_memory: 100\.0 MiB\)")
    assert most < 400 * 1024 * 1024


@needs_python
@pytest.mark.skipif(SANITIZED, reason="the memory is the sanitizer's")
def test_a_memory_limit_that_no_worker_can_keep_is_not_applied(serve, tmp_path):
    server = serve(python_app(tmp_path, "pass"), "--chdir", tmp_path, "--max-worker-memory", "1M")
    first = server.wait_workers(1)
    server.wait_for(r"\[WARNING\] Worker .* of memory before its first request: max_worker_memory \(1.0 MiB\) is not applied")
    for _ in range(20):
        assert server.get("/").status == 200
    assert server.worker_pids() == first


# ---- settings ----
@pytest.mark.parametrize("flags, fault", [
    (["--max-requests", "-1"], "max-requests: -1 is out of range"),
    (["--max-requests", "many"], "max-requests: 'many' is not a whole number"),
    (["--max-requests-jitter", "x"], "max-requests-jitter: 'x' is not a whole number"),
    (["--max-worker-memory", "200 MB"], "max-worker-memory: '200 MB' is not a whole number of bytes"),
    (["--max-worker-lifetime", "1h"], "max-worker-lifetime: '1h' is not a whole number of seconds"),
])
def test_a_broken_setting_is_refused_by_name(flags, fault):
    done = run("--check-config", *flags, example("hello"))
    assert done.returncode == 2 and fault in done.stderr


def test_all_sources_have_the_settings(serve, tmp_path):
    yaml = run("--print-config", example("hello"), "--max-worker-memory", "200M").stdout
    assert re.search(r"max_worker_memory\W+209715200", yaml)
    (tmp_path / "gunicorn.conf.py").write_text("max_requests = 4\nmax_requests_jitter = 0\n")
    server = serve("-c", tmp_path / "gunicorn.conf.py", example("hello"))
    first = server.wait_workers(1)
    for _ in range(4):
        server.get("/")
    server.wait_workers(1, without=first)
