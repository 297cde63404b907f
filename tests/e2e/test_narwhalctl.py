"""What narwhalctl reports when something else is going on as well, or something is missing."""
import json
import os
import signal

import pytest

from admin_client import narwhalctl
from clock import eventually
from load import Background
from server import example
from test_admin import start
from test_canary import write
from upgrading import program, replace


def test_stop_beside_another_master_says_that_the_service_goes_on(start):
    server = start(example("echo"), "-w", "1")
    assert narwhalctl(server.control, "upgrade").returncode == 0
    result = narwhalctl(server.control, "stop")
    assert result.returncode == 1 and result.stdout == "", result
    assert f"and the other one (pid {server.pid}) continues to serve" in result.stderr
    eventually("it serves", lambda: server.admin.ready()[0])
    assert server.get().status == 200
    assert json.loads(narwhalctl(server.control, "--json", "stop").stdout)["stopped"] is True


def test_a_rollback_ends_a_canary_at_once(start, tmp_path):
    write(tmp_path, "v1")
    server = start("shop:app", "-w", "2", "--chdir", tmp_path, "--canary", "50%", "--canary-time", "600")
    server.wait_workers(2)
    write(tmp_path, "v2")
    reload = Background(narwhalctl, server.control, "reload", timeout=60)
    server.wait_for("canary: 1 of 2 workers run generation 2")
    result = narwhalctl(server.control, "rollback", "--timeout", "10")
    assert result.returncode == 0 and "generation 1 continues to serve" in result.stdout, result
    assert reload.result().returncode == 1 and "a rollback was requested" in reload.result().stderr
    assert {server.get().text for _ in range(10)} == {"v1"}


def test_a_rollback_says_what_it_does_not_bring_back(start, tmp_path):
    write(tmp_path, "v1")
    server = start("shop:app", "-w", "1", "--chdir", tmp_path)
    assert narwhalctl(server.control, "reload").returncode == 0
    result = narwhalctl(server.control, "rollback")
    assert result.returncode == 0 and "Python's files are imported as they are now" in result.stderr, result


def test_a_reload_says_what_needs_a_restart(start, tmp_path):
    conf = tmp_path / "narwhal.yaml"
    conf.write_text(f"app: {example('echo')}\n")
    server = start("-c", conf)
    conf.write_text(f"app: {example('echo')}\nadmin_bind: 127.0.0.1:0\n")
    result = narwhalctl(server.control, "reload")
    assert result.returncode == 0 and "restart narwhal to apply the new value of admin_bind" in result.stderr, result
    assert "admin_bind" in server.admin.status()["transactions"][-1]["reason"]


def test_a_worker_that_is_killed_by_command_has_not_crashed(start):
    server = start(example("echo"), "-w", "1", "--timeout", "60")
    worker, = server.wait_workers(1)
    lost = Background(server.get, "/slow?sleep=30", timeout=40)
    eventually("it runs", lambda: server.admin.status()["handlers"]["busy"] == 1)
    assert narwhalctl(server.control, "kill", "--quick", worker).returncode == 0
    server.wait_for(rf"\[WARNING\] Worker \(pid:{worker}\) was sent SIGKILL, as an operator has commanded\.")
    server.wait_workers(1, without=[worker])
    with pytest.raises(Exception):
        lost.result()
    status = server.admin.status()
    assert status["restarts"]["command"] == 1 and status["restarts"]["crash"] == 0
    assert sum(route["by_status"][0] for route in status["totals"]["routes"]) == 1, "the request that got no answer"
    assert "out of memory" not in server.log()


def test_a_control_socket_that_was_removed_is_made_again_by_a_reload(start):
    server = start(example("echo"))
    eventually("it answers", lambda: server.admin.ready()[0])
    server.control.unlink()
    server.send(signal.SIGHUP)
    server.wait_for(rf"\[WARNING\] {server.control} was removed: listening on a new socket there")
    eventually("it answers", lambda: server.control.exists() and server.admin.ready()[0])
    assert oct(os.stat(server.control).st_mode & 0o777) == "0o600"
    assert narwhalctl(server.control, "reload").returncode == 0
    assert server.stop() == 0
    assert not server.control.exists()


def test_a_signal_to_the_whole_process_group_is_not_an_error(start):
    server = start(example("echo"), "-w", "2")
    eventually("it answers", lambda: server.admin.ready()[0])
    os.killpg(os.getpgid(server.pid), signal.SIGTERM)
    assert server.wait_exit() == 0
    assert "ERROR" not in server.log(), server.log()


def test_more_workers_than_a_setting_allows(start):
    server = start(example("echo"), "-w", "1")
    assert narwhalctl(server.control, "scale", "501").returncode == 64
    code, body, _ = server.admin.ask("/commands/scale?workers=501", method="POST")
    assert code == 409 and "refused: at most 500 workers" in body, (code, body)


def test_one_worker_more_than_very_many(start):
    server = start(example("echo"), "-w", "260", "--threads", "1")
    server.send(signal.SIGTTIN)
    server.wait_workers(261)


def test_a_reload_whose_master_is_replaced_meanwhile_does_not_wait_for_ever(start, tmp_path):
    write(tmp_path, "v1")
    slow = (tmp_path / "shop.py").read_text()
    server = start("shop:app", "-w", "1", "--chdir", tmp_path)
    (tmp_path / "shop.py").write_text("import time; open('begun', 'w').close(); time.sleep(2)\n" + slow)
    upgrade = Background(narwhalctl, server.control, "upgrade", timeout=60)
    eventually("the new master imports it", (tmp_path / "begun").exists)
    (tmp_path / "shop.py").write_text("import time; time.sleep(20)\n" + slow)
    result = narwhalctl(server.control, "reload", "--timeout", "15")
    assert result.returncode == 1 and "an upgrade has ended meanwhile, and the new master" in result.stderr, result
    assert upgrade.result().returncode == 0
    assert server.get().text == "v1"
    assert narwhalctl(server.control, "stop").returncode == 1, "the one before goes on"


def test_an_upgrade_that_is_finished(start):
    server = start(example("echo"), "-w", "1")
    with server.load(clients=2) as load:
        result = narwhalctl(server.control, "upgrade", "--finish")
        assert result.returncode == 0 and f"the former one (pid {server.pid}) has ended" in result.stdout, result
        assert server.process.wait(10) == 0
        load.wait_for_more(20)
    load.assert_clean(20)
    assert narwhalctl(server.control, "stop").returncode == 0


def test_an_upgrade_to_a_program_that_does_not_serve_is_refused(start, tmp_path):
    server = start(example("echo"), "-w", "1", binary=program(tmp_path))
    replace(server.binary, "#!/bin/sh\nexit 7\n")
    result = narwhalctl(server.control, "upgrade", "--finish")
    assert result.returncode == 1 and "exited with code 7" in result.stderr, result
    failed = server.admin.status()["transactions"][-1]
    assert (failed["kind"], failed["outcome"]) == ("upgrade", "refused") and "exited with code 7" in failed["reason"]
    assert "Upgrade failed: " in server.admin.status()["status"]
    assert narwhalctl(server.control, "reload").returncode == 0
    eventually("a reload later the status is without it", lambda: "Upgrade" not in server.admin.status()["status"])
    assert server.admin.metrics()['narwhal_reloads_total{outcome="refused"}'] == 0, "an upgrade is not a reload"


def test_wrong_usage_is_named():
    result = narwhalctl("none.sock", "top", "--json")
    assert result.returncode == 64 and "top has no JSON" in result.stderr, result
    result = narwhalctl("none.sock", "kill", "0")
    assert result.returncode == 64 and "4194304" in result.stderr, result
