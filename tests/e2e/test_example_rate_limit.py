"""The example rate_limit: all workers count a client's requests together."""
import contextlib
import os
import signal

import pytest

from server import example, run
from test_admin import start

# 0.01: one more request every 100 seconds, so that a test has what was there at first.
SLOWLY = ("--option", "per_second=0.01")


@pytest.fixture
def limited(start):
    def run_with(burst, *args):
        return start(example("rate_limit"), "-w", "2", "--threads", "1", *SLOWLY, "--option", f"burst={burst}", *args)
    return run_with


def statuses(server, count, **client):
    """Of so many requests, each on a connection of its own; they stay open, so that workers share them."""
    with contextlib.ExitStack() as open_ones:
        return [open_ones.enter_context(server.connect(**client)).ask("/").status for _ in range(count)]


def test_two_workers_share_the_limit_of_a_client(limited):
    server = limited(10, "--access-logfile", "-", "--access-logformat", "%(p)s %(s)s")
    pids = server.wait_workers(2)
    assert statuses(server, 20) == [200] * 10 + [429] * 10
    served = {line.split()[0] for line in server.stdout().splitlines() if line.endswith(" 200")}
    assert len(served) == 2 and len(pids) == 2, server.stdout()
    assert server.admin.metrics()["rate_limit_refused_total"] == 10


def test_who_is_refused_learns_when_to_ask_again(limited):
    server = limited(1)
    with server.connect() as wire:
        assert wire.ask("/").text == "Hello, but not too often!\n"
        refused = wire.ask("/")
        assert refused.status == 429 and 90 < int(refused.header("Retry-After")) <= 100
        assert refused.header("Connection") is None, "the connection stays"


def test_an_innocent_client_is_served(limited):
    server = limited(3)
    assert statuses(server, 50) == [200] * 3 + [429] * 47
    others = [statuses(server, 1, source=f"127.0.0.{last}") for last in range(2, 12)]
    assert others.count([200]) >= 9  # that one shares both of its buckets is a chance of 1 in 10000


def test_neither_a_reload_nor_a_crash_resets_the_limit(limited):
    server = limited(3)
    assert statuses(server, 4) == [200] * 3 + [429]
    server.reload()
    assert statuses(server, 2) == [429] * 2
    for pid in server.wait_workers(2):
        os.kill(pid, signal.SIGKILL)
    server.wait_workers(2)
    assert statuses(server, 2) == [429] * 2


def test_behind_a_trusted_proxy_the_client_is_limited_and_not_the_proxy(limited):
    server = limited(1)

    def ask(address):
        return server.get("/", headers=[("X-Forwarded-For", address)]).status
    assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")] == [200, 429, 200]
    assert [ask("2001:db8::1"), ask("2001:db8::2")] == [200, 429], "one client has a whole /64"


def test_after_a_while_a_client_is_served_again(start):
    server = start(example("rate_limit"), "-w", "2", "--option", "per_second=4", "--option", "burst=1")
    assert server.get("/").status == 200
    refused = 0
    while (answer := server.get("/")).status == 429:
        assert answer.header("Retry-After") == "1"
        refused += 1
    assert answer.status == 200 and refused > 0


def test_bad_options_and_too_many_buckets_are_refused_at_boot(tmp_path):
    for option, reason in (("per_second=0", "option 'per_second'"), ("buckets=500", "option 'buckets'")):
        checked = run("--check-config", "--option", option, example("rate_limit"))
        assert checked.returncode != 0 and reason in checked.stderr, checked
    routes = "".join(f"  - {{prefix: /{zone}, app: {example('rate_limit')}, options: {{zone: {zone}, buckets: 400}}}}\n"
                     for zone in ("a", "b"))
    (tmp_path / "narwhal.yaml").write_text(f"routes:\n{routes}")
    checked = run("-c", tmp_path / "narwhal.yaml", "--check-config")
    assert checked.returncode != 0 and "no room for so many shared numbers" in checked.stderr, checked
