"""Calls of a plugin on threads that narwhal/plugin.h does not allow: they are in the log, with the plugin and the call, and the
worker serves on."""
import os
import re

import pytest

from server import BUILD, test_plugin
from wire import request_bytes

PLUGIN = test_plugin("wrong_threads")
FILE = re.escape(str(PLUGIN))


def checks_threads():
    """A build with -Dchecked=true: only there the calls of "one thread at a time" are watched."""
    options = BUILD / "meson-info" / "intro-buildoptions.json"
    return options.exists() and bool(re.search(r'"name": "checked", "value": true', options.read_text()))


@pytest.fixture
def server(serve):
    server = serve(PLUGIN, "-w", "1", "--threads", "2")
    yield server
    worker, = server.worker_pids()
    assert server.get("/").text == "ok" and server.worker_pids() == [worker]
    os.kill(worker, 0)


def test_the_set_up_on_another_thread(server):
    server.wait_for(rf"\[ERROR\] plugin '{FILE}' has called option\(\) of narwhal_boot on another thread than that of the hook")


def test_flush_on_another_thread(server):
    assert server.get("/flush").text == "ok"
    server.wait_for(rf"\[ERROR\] plugin '{FILE}' has called flush\(\) for GET /flush on another thread than that of handle\(\): "
                    r"it does nothing there")


def test_left_at_once_on_another_thread(server):
    assert server.get("/left").text == "ok"
    server.wait_for(r"\[ERROR\] a plugin has called left_at_once\(\) on another thread than the worker's main one: it has an answer "
                    r"in worker_exit\(\) only")


@pytest.mark.skipif(not checks_threads(), reason="not a build with -Dchecked=true")
def test_two_threads_that_read_one_body(server):
    with server.connect() as wire:
        wire.send(request_bytes("/read", method="POST", headers=[("Content-Length", "5")]))
        server.wait_for(rf"\[ERROR\] plugin '{FILE}' has called read_body\(\) for POST /read while another thread was in "
                        r"read_body\(\) of it: one thread at a time")
        wire.send(b"12345")
        assert wire.response().text == "5"


@pytest.mark.skipif(not checks_threads(), reason="not a build with -Dchecked=true")
def test_two_threads_that_use_the_memory_of_one_request(server):
    assert server.get("/memory").text == "whole"
    server.wait_for(rf"\[ERROR\] plugin '{FILE}' has called (variable|alloc)\(\) for GET /memory while another thread was in "
                    r"(variable|alloc)\(\) of it")
