"""What hooks in workers get from Gunicorn's objects and may do with them, beside those of the master."""
import re
import signal
import textwrap

import pytest

from clock import eventually
from saying import SAY
from server import WSGI

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin")

APP = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"


@pytest.fixture
def python(serve, tmp_path):
    def start(text, *flags, **named):
        (tmp_path / "shop.py").write_text(APP)
        (tmp_path / "gunicorn.conf.py").write_text(SAY + textwrap.dedent(text))
        return serve("shop:app", *flags, **named)
    return start


def test_attributes_of_server_worker_and_request(python, said):
    server = python("""
        def post_fork(server, worker):
            server.log.info("listening at %s", server.address)
            say(server.timeout, server.cfg.max_requests, server.reexec_pid, worker.timeout, len(worker.sockets))
            say(server.SIG_QUEUE, worker.nr_conns, hasattr(worker, "made_up"))
        def pre_request(worker, req):
            worker.log.info("worker %s: %s %s %s", worker.nr, req.method, req.path, req.unreader)
        """, "--max-requests", 500)
    for _ in range(2):
        assert server.get("/a").status == 200
    assert re.search(r"listening at \[\('127\.0\.0\.1', \d+\)\]$", server.log(), re.MULTILINE)
    assert said() == ["30 500 0 30 1", "None None False"]
    assert "worker 1: GET /a None" in server.log() and "worker 2: GET /a None" in server.log()
    for name in ("server.SIG_QUEUE", "worker.nr_conns", "request.unreader"):
        assert server.log().count(f"narwhal does not have '{name}': it is None") == 1


def test_worker_int_runs_at_a_quick_stop_only(python, said):
    text = """
        def worker_int(worker): say("int", worker.pid)
        def worker_exit(server, worker): say("exit", worker.pid)
        """
    server = python(text)
    pid, = server.worker_pids()
    server.reload()
    new, = server.worker_pids()
    eventually("the first worker's end", lambda: said() == [f"exit {pid}"])
    assert server.stop(signal.SIGINT) == 0
    assert said() == [f"exit {pid}", f"int {new}", f"exit {new}"]


def test_alive_false_retires_the_worker(python, said):
    server = python("""
        def post_request(worker, req, environ, resp):
            if req.path == "/last":
                worker.alive = False
        """)
    pids = server.worker_pids()
    assert server.get("/last").status == 200
    server.wait_workers(1, without=pids)
    assert "was asked by its application to end: it serves until its successor is ready" in server.log()
    assert server.get("/").status == 200


def test_a_shared_value_is_shared_with_preload(python, said):
    server = python("""
        import multiprocessing
        count = multiprocessing.Value("i", 0)
        def post_fork(server, worker):
            with count.get_lock():
                count.value += 1
            say(count.value)
        """, "--preload", "-w", 3)
    assert sorted(said()) == ["1", "2", "3"]
    server.wait_serving()


def test_hooks_of_master_and_workers_together(python, said):
    server = python("""
        def pre_fork(server, worker): say("pre_fork")
        def post_fork(server, worker): say("post_fork")
        def child_exit(server, worker): say("child_exit")
        """)
    server.wait_serving()
    server.stop()
    assert sorted(said()) == ["child_exit", "post_fork", "pre_fork"]
