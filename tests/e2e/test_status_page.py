"""The status page in a browser: what a person sees of a server that is well, of one that is not, and on a phone."""
import os
import signal

import pytest

from browser import Browser
from clock import eventually
from load import Background
from plugin_files import not_elf, versioned
from server import example
from test_admin import address_of_page


@pytest.fixture
def start(serve):
    return lambda *args, **named: serve(*args, "--admin-bind", "127.0.0.1:0", **named)


def look_at(server, browser):
    browser.open("http://%s:%d/" % address_of_page(server))
    eventually("the first figures", lambda: browser.value("document.querySelectorAll('.tile').length") == 8)
    return browser


def assert_alone(server, browser):
    """It has asked the server for everything, and nothing has gone wrong."""
    prefix = "http://%s:%d/" % address_of_page(server)
    assert browser.requests and all(url.startswith((prefix, "data:")) for url in browser.requests), browser.requests
    assert not browser.errors


def test_a_server_that_serves(start, tmp_path):
    server = start(example("echo"), "-w", "2", "--threads", "2")
    server.wait_workers(2)
    slow = Background(server.get, "/now?b=<b>&sleep=15", timeout=60)
    with server.load(clients=2) as load, Browser(tmp_path) as browser:
        load.wait_for_more(50)
        look_at(server, browser)
        assert browser.text("state") == "ready" and browser.text("title") == "echo"
        assert browser.value("document.querySelectorAll('.worker').length") == 2
        assert "GET /now?b=<b>&sleep=15" in browser.text("workers"), "as text, not as markup"
        eventually("the rate", lambda: float(browser.value("document.querySelector('.tile b').textContent")
                                             .replace(",", "")) > 0)
        eventually("a line in the chart", lambda: browser.value("document.getElementById('rate').getAttribute('d')").count("L") > 1)
        assert "2 of 2" in browser.text("tiles") and "of 4" in browser.text("tiles")
        assert "echo.so" in browser.text("routes")
        assert_alone(server, browser)
    slow.result()


def test_a_server_that_is_stuck_and_a_reload_that_was_refused(start, tmp_path):
    plugin = tmp_path / "app.so"
    versioned(plugin, "one")
    server = start(plugin, "-w", "1", "--heartbeat-timeout", "120")
    server.wait_serving()
    not_elf(plugin)
    server.send(signal.SIGHUP)
    server.wait_for("Reload failed at step 'stage'")
    worker = server.worker_pids()[0]
    with Browser(tmp_path) as browser:
        look_at(server, browser)
        assert "refused" in browser.text("reloads") and "app.so" in browser.text("reloads")
        os.kill(worker, signal.SIGSTOP)
        try:
            eventually("not ready", lambda: browser.text("state") == "not ready")
            assert "every worker is stuck (0 of 1) or silent (1)" in browser.text("alert")
            assert "0 of 1" in browser.text("tiles")
        finally:
            os.kill(worker, signal.SIGCONT)
        eventually("ready again", lambda: browser.text("state") == "ready" and browser.text("alert") == "")
        server.stop()
        eventually("no answer", lambda: browser.text("state") == "no answer")


@pytest.mark.parametrize("width", [320, 390, 800])
def test_it_fits_on_a_phone(start, tmp_path, width):
    server = start(example("echo"), "-w", "2")
    server.wait_workers(2)
    server.get("/" + "long" * 100)
    with Browser(tmp_path, width, 700, phone=True) as browser:
        look_at(server, browser)
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("getComputedStyle(document.body).fontSize") == "15px"
        assert_alone(server, browser)
