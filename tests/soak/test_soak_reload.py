"""Reloads, deaths and rescaling for minutes on end, under load."""
import os
import random
import signal
import time

import pytest

import proc
from clock import eventually
from plugin_files import becomes, deploy, truncated, versioned
from server import SANITIZED


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


def test_the_master_does_not_grow_in_500_reloads(serve, tmp_path):
    app = versioned(tmp_path / "app.so", "v0")
    server = serve(app, "-w", "1")
    server.wait_workers(1)
    sizes = []
    for number in range(500):
        server.reload()
        if number % 100 == 99:
            eventually("settled", lambda: len(server.processes()) == 2, 20)
            pid = server.pid
            sizes.append((len(proc.descriptors(pid)), len(proc.maps(pid)), proc.rollup(pid, "Rss")))
    print(sizes)
    assert SANITIZED or sizes[-1][:2] == sizes[0][:2] and sizes[-1][2] <= sizes[0][2] + 512 * 1024
