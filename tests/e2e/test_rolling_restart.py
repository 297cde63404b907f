"""Three servers behind HAProxy, restarted one after the other under load by conf/haproxy/rolling-restart: nothing fails."""
import subprocess
import sys

import pytest

from clock import eventually
from haproxy_front import haproxy, needs_haproxy  # noqa: F401
from rolling import SCRIPT, Clients, Instances, run_script
from server import example
from wire import Wire, request_bytes

pytestmark = needs_haproxy
WIRES = {"http": ("narwhal.cfg", ""), "fastcgi": ("narwhal-fastcgi.cfg", "fastcgi://")}
# Only how often it looks is changed.
OFTEN = {"inter 2s fastinter 500ms": "inter 200ms"}


@pytest.fixture
def three(serve, haproxy, tmp_path):  # noqa: F811
    """three(wire): (the instances, the HAProxy in front of them)"""
    def start(wire="http"):
        name, prefix = WIRES[wire]
        instances = Instances(serve, tmp_path, prefix, example("echo"), "-w", 1, "--threads", 2)
        return instances, haproxy(*instances.addresses(), name=name, replaced=OFTEN)
    return start


@pytest.mark.parametrize("wire", WIRES)
def test_a_rolling_restart_under_load_loses_no_request(three, wire):
    instances, front = three(wire)
    with instances, Clients(front.address) as clients:
        clients.wait_for_more(50)
        done = run_script(front, instances)
        clients.wait_for_more(50)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"narwhal/n{number} restarted" for number in (1, 2, 3)]
    assert instances.restarted == ["n1", "n2", "n3"]
    answered, failures = clients.together()
    print(f"{answered} answered")
    assert not failures and answered >= 300
    assert all(row["status"] == "UP" for row in front.servers().values())


def test_if_a_restart_fails_the_servers_that_follow_are_not_touched(three):
    instances, front = three()
    instances.fails = ("n2",)
    with instances:
        done = run_script(front, instances)
    assert done.returncode == 1 and instances.restarted == ["n1"]
    assert "narwhal/n2: the command failed with exit code 1. The server gets no requests until HAProxy reads " \
           "`set server narwhal/n2 state ready`" in done.stderr
    assert [row["status"] for row in front.servers().values()] == ["UP", "DRAIN", "UP"]


def test_a_server_that_still_has_requests_is_not_restarted(three):
    instances, front = three()
    with instances, Wire(front.address, timeout=60) as client:
        client.send(request_bytes("/?sleep=60"))
        (busy,) = wait_for_a_session(front)
        done = run_script(front, instances, "--wait", "1")
    assert done.returncode == 1 and busy not in instances.restarted
    assert f"narwhal/{busy} was not restarted: it still has requests after 1 s" in done.stderr
    assert [row["status"] for row in front.servers().values()] == ["UP"] * 3


def wait_for_a_session(front):
    return eventually("a request runs", lambda: [name for name, row in front.servers().items() if row["scur"] == "1"])


def test_the_last_server_is_not_taken_out(three):
    instances, front = three()
    for name in ("n2", "n3"):
        front.ask(f"set server narwhal/{name} state maint")
    with instances:
        done = run_script(front, instances)
    assert done.returncode == 1 and not instances.restarted
    assert "narwhal/n1 was not restarted: no other server of narwhal is up" in done.stderr


def test_mistakes_are_named(three, tmp_path):
    instances, front = three()
    with instances:
        assert "HAProxy has no backend shop with servers" in run_script(front, instances, backend="shop").stderr
    missing = tmp_path / "none.sock"
    done = subprocess.run([sys.executable, SCRIPT, "--socket", missing, "narwhal", "--", "true"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1 and f"rolling-restart: {missing}: No such file" in done.stderr
