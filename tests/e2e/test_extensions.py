"""narwhal/extensions.h: numbers that all workers share, metrics, and calls on the event loop."""
import os
import signal
import time

import pytest

from clock import eventually
from server import run, test_plugin
from test_admin import start

PLUGIN = test_plugin("extensions")


def ask_all(server, target, times):
    return [server.get(target).text for _ in range(times)]


def test_workers_of_all_generations_share_a_number(start):
    server = start(PLUGIN, "-w", "3")
    server.wait_workers(3)
    assert sorted(map(int, ask_all(server, "/count", 30))) == list(range(1, 31))
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.wait_workers(3)
    server.reload()
    assert sorted(map(int, ask_all(server, "/count", 10))) == list(range(31, 41))


def test_metrics_are_shown_and_survive_a_worker_but_its_gauge_does_not(start):
    server = start(PLUGIN, "-w", "1")
    for value in (0, 2, 3, 100):
        server.get(f"/metrics?by={value}")
    metrics = server.admin.metrics()
    assert metrics[r'test_units_total{kind="a \"b\""}'] == 105
    assert metrics["test_level"] == 100
    assert [metrics[f'test_sizes_bucket{{kind="a",le="{bound}"}}'] for bound in ("0.5", "2", "10", "+Inf")] == [1, 2, 3, 4]
    assert metrics['test_sizes_sum{kind="a"}'] == 105 and metrics['test_sizes_count{kind="a"}'] == 4
    body = server.admin.ask("/metrics")[1]
    assert body.count("# TYPE test_sizes histogram\n") == 1 and "# HELP test_units_total Units.\n" in body
    assert "hits" not in body

    os.kill(server.worker_pids()[0], signal.SIGKILL)
    eventually("its gauge has gone with it", lambda: server.admin.metrics().get("test_level") == 0)
    eventually("another worker serves", lambda: server.admin.ready()[0])
    assert server.admin.metrics()[r'test_units_total{kind="a \"b\""}'] == 105


def test_a_gauge_is_the_sum_of_all_workers(start):
    server = start(PLUGIN, "-w", "2", "--threads", "1")
    server.wait_workers(2)

    def both_have_set_theirs():
        server.get("/metrics?by=3")
        return server.admin.metrics()["test_level"] == 6
    eventually("each worker has had a request", both_have_set_theirs)


def test_what_cannot_be_is_refused_with_the_reason(start):
    server = start(PLUGIN, "-w", "1")
    assert server.get("/bad").text == "refused"
    for reason in ("its name is not one for a metric", "its labels are not a list", "its help is not one line"):
        server.wait_for(reason)
    assert "bad_labels" not in server.admin.ask("/metrics")[1]
    assert server.admin.metrics()[r'test_units_total{kind="a \"b\""}'] == 0


def test_there_is_room_for_a_limited_number(start):
    server = start(PLUGIN, "-w", "2")
    assert server.get("/many?of=600").text == "508", "four are the plugin's own"
    server.wait_for("there are 512 numbers and metrics already")
    assert server.get("/count").text == "1"


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_loop_calls_what_was_posted_and_timers(serve, threads):
    server = serve(PLUGIN, "-w", "1", "--threads", threads)
    assert server.get("/post").text == "from the loop"
    began = time.monotonic()
    assert server.get("/later?ms=200").text == "from the loop"
    assert time.monotonic() - began >= 0.19
    eventually("the timer repeats", lambda: int(server.get("/turns").text) >= 3)
    server.get("/stop")
    stopped = int(server.get("/turns").text)
    assert server.get("/later?ms=100").text == "from the loop"
    assert int(server.get("/turns").text) <= stopped + 1


def test_a_draft_that_the_server_does_not_have_is_named_in_the_log(serve):
    server = serve(PLUGIN, "-w", "1")
    assert server.get("/drafts").text == "not there"
    server.wait_for(r"\[WARNING\] a plugin asks for the draft extension 'narwhal.metrics.draft/3', which this server has as "
                    r"'narwhal.metrics/1': build the plugin for that")
    server.wait_for(r"\[WARNING\] a plugin asks for the draft extension 'narwhal.teleport.draft/1', which this server does not "
                    r"have: drafts may change with each release; the plugin does without it")
    assert "narwhal.none" not in server.log(), "a name that is not a draft may be missing"


def test_a_check_boots_a_plugin_that_uses_them():
    assert run("--check-config", PLUGIN).returncode == 0
