"""Three servers behind HAProxy that are restarted one after the other for a minute, under load."""
import time

import pytest

from haproxy_front import haproxy, needs_haproxy  # noqa: F401
from load import Load
from rolling import Clients, Instances, run_script
from server import example

pytestmark = needs_haproxy
WIRES = {"http": ("narwhal.cfg", ""), "fastcgi": ("narwhal-fastcgi.cfg", "fastcgi://")}


@pytest.fixture(params=WIRES)
def three(request, serve, haproxy, tmp_path):  # noqa: F811
    name, prefix = WIRES[request.param]
    instances = Instances(serve, tmp_path, prefix, example("echo"), "-w", 2, "--threads", 2)
    with instances:
        yield instances, haproxy(*instances.addresses(), name=name)


def test_rolling_restarts_lose_no_request(three, seconds):
    instances, front = three
    end = time.monotonic() + seconds
    with Clients(front.address, pause=0.001) as clients:
        while time.monotonic() < end:
            done = run_script(front, instances)
            assert done.returncode == 0, done.stderr
    answered, failures = clients.together()
    print(f"{answered} answered, {len(failures)} failed, {len(instances.restarted)} restarts")
    assert not failures and answered > 10 * seconds and len(instances.restarted) >= 3


def test_plain_restarts_lose_no_request_that_may_be_repeated(three, seconds):
    """Without the script: HAProxy repeats a GET that was sent to a server which was just closing."""
    instances, front = three
    end = time.monotonic() + seconds
    restarts = 0
    with Load(front.address, clients=4, pause=0.001) as kept, Load(front.address, clients=4, pause=0.001, keep_alive=False) as new:
        while time.monotonic() < end:
            for name in ("n1", "n2", "n3"):
                instances.restart(name)
                front.wait_up(3)
                restarts += 1
    print(f"{kept.answered + new.answered} answered, {len(kept.failures) + len(new.failures)} failed, {restarts} restarts")
    kept.assert_clean(10 * seconds)
    new.assert_clean(10 * seconds)


def test_reloads_lose_no_request(three, seconds):
    """FastCGI cannot announce that a connection ends, and HAProxy must not repeat a POST: one in many may meet the end."""
    instances, front = three
    end = time.monotonic() + seconds
    reloads = 0
    with Clients(front.address, pause=0.001) as clients:
        while time.monotonic() < end:
            for server in instances.servers.values():
                server.reload()
                reloads += 1
    answered, failures = clients.together()
    print(f"{answered} answered, {len(failures)} failed, {reloads} reloads")
    allowed = reloads // 500 if instances.prefix == "fastcgi://" else 0
    assert len(failures) <= allowed and answered > 10 * seconds, failures
