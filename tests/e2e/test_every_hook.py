"""examples/every_hook.c under the server: each of its routes, and the hooks that nothing but a server calls."""
import re
import signal

import pytest

from clock import eventually
from server import example, run
from test_admin import start
from wire import request_bytes

PLUGIN = example("every_hook")


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.txt"
    file.write_text("what is sent\n")
    return file


def options(**values):
    return [word for key, value in values.items() for word in ("--option", f"{key}={value}")]


def ask_each_route(server):
    """With the options data (a file of this text), greeting=Hej, repeat=2."""
    with server.connect() as wire:
        assert wire.ask("/", headers=[("User-Agent", "test")]).text == "Hej, test!\n"
        assert wire.ask("/body", method="POST", body=b"12345").text == "5 bytes, in memory\n"
        assert wire.ask("/file").text == "what is sent\n"
        assert wire.ask("/cgi?SERVER_PROTOCOL").text == "HTTP/1.1"
        assert wire.ask("/later").text == "later\n"
        assert wire.ask("/work").text == "accepted\n"
        wire.send(request_bytes("/stream", headers=[("TE", "trailers")]))
        assert wire.head().status == 103
        response = wire.response()
        assert response.text == "part\npart\nlast\n" and response.trailers == [("X-Parts", "all")]
    assert server.get("/fail").status == 503
    server.wait_for("asked for")


@pytest.mark.parametrize("threads", ["1", "3"])
def test_each_route_answers(serve, data, threads):
    ask_each_route(serve(PLUGIN, "-w", "1", "--threads", threads, *options(data=data, greeting="Hej", repeat=2)))


@pytest.mark.parametrize("word", ["true", "yes", "On"])  # to the plugin all are "true"
def test_a_body_is_read_while_it_arrives(serve, word):
    server = serve(PLUGIN, "-w", "1", *options(stream=word))
    assert server.get("/body", method="POST", body=b"x" * 100_000).text == "100000 bytes, in memory\n"


def test_a_long_answer_waits_for_its_client_without_a_thread(serve):
    server = serve(PLUGIN, "-w", "1", "--threads", "1", *options(repeat=60, greeting="Hej"))
    with server.connect(timeout=60) as slow:
        slow.send(request_bytes("/many"))
        assert slow.head().status == 200
        assert server.get("/").text == "Hej, !\n"  # the only handler is free
        assert b"".join(slow.chunk(30) for _ in range(60_000)) == b"one of many\n" * 60_000
    with server.connect() as gone:
        gone.send(request_bytes("/many"))
        assert gone.head().status == 200
    assert server.get("/").status == 200


def test_a_worker_asks_for_its_replacement(serve):
    server = serve(PLUGIN, "-w", "1")
    worker, = server.wait_workers(1)
    server.get("/replace")
    eventually("another worker", lambda: server.worker_pids() not in ([], [worker]) and worker not in server.worker_pids())
    server.wait_for("every_hook: done")
    assert server.get("/").status == 200


def test_a_client_that_goes_cancels_its_deferred_answer(start):
    server = start(PLUGIN, "-w", "1", *options(pause=60))
    with server.connect() as wire:
        wire.send(request_bytes("/later"))
        eventually("it waits", lambda: server.admin.metrics().get("every_hook_waiting") == 1)
    eventually("it is cancelled", lambda: server.admin.metrics().get("every_hook_waiting") == 0)
    assert server.admin.metrics()["every_hook_answers_total"] == 1


def test_it_may_be_mounted_twice(serve, tmp_path):
    config = "".join(f"  - prefix: {prefix}\n    app: {PLUGIN}\n    options: {{greeting: {word}}}\n"
                     for prefix, word in (("/a", "Hej"), ("/b", "Ahoj")))
    server = serve("-w", "2", "--threads", "2", config="routes:\n" + config)
    assert server.get("/a").text == "Hej, !\n" and server.get("/b").text == "Ahoj, !\n"
    server.send(signal.SIGHUP)
    eventually("the next generation alone", lambda: server.generations() == [2], 20)
    assert server.stop() == 0
    assert not re.search(r"\[(ERROR|CRITICAL)\]", server.log()), server.tail()


def test_a_drain_answers_what_is_deferred(start):
    server = start(PLUGIN, "-w", "1", *options(pause=60))
    with server.connect() as wire:
        wire.send(request_bytes("/later"))
        eventually("it waits", lambda: server.admin.metrics().get("every_hook_waiting") == 1)
        server.send(signal.SIGTERM)
        assert wire.response().text == "drained\n"
    assert server.wait_exit() == 0


def test_a_slow_and_a_stuck_handler_are_reported_by_the_plugin(serve):
    server = serve(PLUGIN, "-w", "1", "--threads", "2", "--soft-timeout", "1", "--timeout", "2", *options(pause=4))
    assert server.get("/work").text == "accepted\n", "the client need not wait"
    server.wait_for("every_hook: slow\nwork\n")
    assert server.get("/work?first").status == 504
    server.wait_for("every_hook: stuck\n")


def test_what_preload_has_made_is_shared_and_freed(serve):
    server = serve(PLUGIN, "-w", "2", "--preload", *options(greeting="Hej"))
    server.wait_workers(2)
    assert server.get("/").text.startswith("Hej, ")
    assert server.stop(signal.SIGTERM) == 0
    assert "every_hook: the template has forked workers" in server.log()
    assert server.log().count("every_hook: done") == 2


def test_what_it_cannot_work_with_is_refused():
    done = run("--check-config", PLUGIN, *options(repeat=0))
    assert done.returncode == 1 and "repeat: at least 1" in done.stderr
    done = run("--check-config", PLUGIN, *options(data="/none/such"))
    assert done.returncode == 1 and "'data' cannot be read" in done.stderr
