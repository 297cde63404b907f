"""Reloads, deaths and rescaling for minutes on end, under load."""
import os
import random
import signal
import time

import pytest

import chaos
import proc
from clock import eventually
from plugin_files import becomes, deploy, truncated, versioned
from server import SANITIZED, WSGI, example
from wire import request_bytes

needs_python = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs the package python3-dev")


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept alive", "a connection each"])
def test_200_reloads_lose_no_request(serve, tmp_path, keep_alive):
    app = versioned(tmp_path / "app.so", "v0")
    server = serve(app, "-w", "2")
    server.wait_workers(2)
    with server.load(clients=8, keep_alive=keep_alive) as load:
        for number in range(1, 201):
            deploy(app, f"v{number}")
            server.send(signal.SIGHUP)
            load.wait_for_body(f"v{number}".encode(), 40)
    load.assert_clean(2000)


def test_chaos_costs_only_what_was_in_hand(serve, tmp_path, seconds):
    """Good and bad reloads, killed workers and templates, TTIN and TTOU at random. Each killed worker may cost what
    it had in hand; nothing else may cost anything, and the master stays as small as it was."""
    app = versioned(tmp_path / "app.so", "v0")
    server = serve(app, "-w", "3", "--boot-timeout", "5", "--probation", "0", "--graceful-timeout", "10")
    server.wait_workers(3)
    dice, kills, version = random.Random(7), 0, 0

    def reload_good():
        nonlocal version
        version += 1
        deploy(app, f"v{version}")
        server.send(signal.SIGHUP)

    def reload_bad():
        dice.choice([truncated, lambda path: becomes(path, "init_fails"), lambda path: becomes(path, "no_symbol")])(app)
        server.send(signal.SIGHUP)

    def kill_worker():
        nonlocal kills
        pids = server.worker_pids()
        if len(pids) > 1:
            os.kill(dice.choice(pids), signal.SIGKILL)
            kills += 1

    def kill_template():
        if (pid := server.template()) is not None:
            os.kill(pid, signal.SIGKILL)

    def rescale():
        server.send(dice.choice([signal.SIGTTIN, signal.SIGTTOU]))

    acts = [reload_good, reload_good, reload_bad, kill_worker, kill_template, rescale]
    with server.load(clients=6, keep_alive=False, timeout=30) as load:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            dice.choice(acts)()
            load.wait_for_more(5, 40)
            time.sleep(dice.random() * 0.5)
        version += 1
        deploy(app, f"v{version}")
        server.send(signal.SIGHUP)
        load.wait_for_body(f"v{version}".encode(), 60)
        eventually("one generation", lambda: len(server.generations()) == 1, 40)
    assert len(load.failures) <= 6 * kills, load.reasons()[:10]
    assert not [str(failure) for failure in load.failures
                if "refused" in failure.reason or failure.reason.startswith("status ")]
    assert proc.thread_count(server.pid) == 1 and len(proc.descriptors(server.pid)) < 40
    print(f"{load.answered} answers, {len(load.failures)} failures, {kills} kills, {version} versions")


HOLDS = """
import time
def app(environ, start_response):
    if environ["PATH_INFO"] == "/held":
        time.sleep(100000)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
# What a long-lived process may have more of at the end. The allocator does not give every page back.
GROWTH = {"descriptors": 0, "mappings": 2, "threads": 0, "KiB": 1024, "own KiB": 512}


def swap(server):
    """A reload, while a worker of an older generation stays."""
    last = server.admin.status()["last_transaction"]
    server.send(signal.SIGHUP)
    eventually("swapped", lambda: (now := server.admin.status())["last_transaction"] > last and
               now["transactions"][-1]["outcome"] == "swapped", 40)


class Survivors:
    """The processes that live on while generations come and go: master, admin process, log process, and a worker and a
    template of the first generation, which a long request keeps."""

    def __init__(self, server):
        self.server = server
        self.held = server.connect(timeout=3600)
        self.held.send(request_bytes("/held?sleep=100000&size=1"))
        self.worker = eventually("it runs", self._busy)
        self.template = server.template()

    def _busy(self):
        workers = [worker for each in self.server.admin.status()["generations"] for worker in each["workers"]]
        return next((worker["pid"] for worker in workers if worker["running"]), None)

    def pids(self):
        return {"master": self.server.pid, "admin process": chaos.admin_pid(self.server), "log process": chaos.log_pid(self.server),
                "worker": self.worker, "template": self.template}

    def settled(self):
        """{process: what it has}, when nothing else is there but the generation that serves: a template and a worker."""
        eventually(f"settled: {self.server.processes()}", lambda: len(self.server.processes()) == len(self.pids()) + 1, 60)
        self.server.get("/")
        self.server.admin.status()
        return {name: chaos.measured(pid) for name, pid in self.pids().items()}

    def assert_as_before(self, before, after):
        for name, pid in self.pids().items():
            print(f"{name}: before {before[name]}, after {after[name]}")
        assert not chaos.lasting_zombies(self.server.pid)
        grown = {(name, what): (before[name][what], after[name][what]) for name in before for what, most in GROWTH.items()
                 if after[name][what] > before[name][what] + most}
        assert SANITIZED or not grown

    def end(self):
        self.held.close()


@pytest.fixture
def survivors(start):
    kept = []

    def make(*app):
        server = start(*app, "-w", "1", "--timeout", "0", "--graceful-timeout", "3600", "--statsd-host", "127.0.0.1:9")
        server.wait_workers(1)
        kept.append(Survivors(server))
        swap(server)  # whoever comes now is answered: the first worker has no other handler
        return server, kept[0]
    yield make
    for each in kept:
        each.end()
        os.kill(each.worker, signal.SIGKILL)


@pytest.mark.parametrize("app", ["native", pytest.param("python", marks=needs_python)])
def test_nothing_grows_in_1000_reloads(survivors, tmp_path, app):
    (tmp_path / "holds.py").write_text(HOLDS)
    flags = [example("echo")] if app == "native" else ["holds:app", "--chdir", tmp_path, "--preload"]
    server, lasting = survivors(*flags)
    before = {}
    with server.load(clients=2, pause=0.02) as load:
        for number in range(1, 1001):
            swap(server)
            if number == 100:  # what is made once, such as room for the last 50 transactions, is made now
                before = lasting.settled()
        after = lasting.settled()
    load.assert_clean(1000)
    assert server.admin.status()["generation"] == 1002
    print(f"{load.answered} answers")
    lasting.assert_as_before(before, after)


def test_200_hups_at_once_are_a_few_reloads(survivors):
    server, lasting = survivors(example("echo"))
    for _ in range(60):
        swap(server)
    before = lasting.settled()
    generation = server.admin.status()["generation"]
    with server.load(clients=4) as load:
        for _ in range(200):
            server.send(signal.SIGHUP)
        load.wait_for_more(500)
        eventually("at rest", lambda: (now := server.admin.status())["transactions"][-1]["outcome"] == "swapped" and
                   now["generation"] > generation, 40)
        time.sleep(1)
        after = lasting.settled()
    load.assert_clean(500)
    reloads = server.admin.status()["generation"] - generation
    print(f"{reloads} reloads, {load.answered} answers")
    assert 1 <= reloads <= 5
    lasting.assert_as_before(before, after)
