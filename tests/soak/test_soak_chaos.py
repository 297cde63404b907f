"""Each process of the server is stopped, and killed at the boot, in a reload and in a drain, under load."""
import os
import signal
import socket
import time

import pytest

import chaos
import proc
from admin_client import narwhalctl
from chaos import CLIENTS, IN_HAND, Kept, Trial
from clock import eventually
from load import Background
from server import WSGI, example
from wire import WireError

needs_python = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs the package python3-dev")
SLOW_BOOT = """
import os, time
with open("delay") as file:
    time.sleep(float(file.read()))
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    time.sleep(float(environ["QUERY_STRING"] or 0))
    return [b"ok"]
"""


def kill(pid):
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def stopped():
    """Stops a process; it goes on at the end of the test."""
    pids = []

    def stop(pid):
        pids.append(pid)
        os.kill(pid, signal.SIGSTOP)
    yield stop
    for pid in pids:
        if proc.alive(pid):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def slow_boot(tmp_path):
    """An application whose import takes as long as delay() says: in the worker, or with --preload in the template."""
    (tmp_path / "slow_boot.py").write_text(SLOW_BOOT)

    def delay(seconds):
        (tmp_path / "delay").write_text(str(seconds))
    delay(0)
    return delay


@pytest.fixture
def keep(tmp_path):
    """A server that is started again when it ends, on a socket that stays."""
    kept = []

    def start(*args):
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        path = tmp_path / "control.sock"
        server = chaos.with_admin(Kept(tmp_path, listener, *args, "--control-socket", path), path)
        kept.append((server, listener))
        return server.begin()
    yield start
    for server, listener in kept:
        server.end()
        listener.close()


# ---- stopped ----
def test_a_worker_is_stopped(start, stopped):
    server = start(example("echo"), "-w", "2", "--heartbeat-timeout", "2")
    victim = server.wait_workers(2)[0]
    with Trial("SIGSTOP of a worker", server, CLIENTS, IN_HAND, timeout=30) as trial:
        stopped(victim)
        trial.log(rf"narwhal: worker .*\(pid:{victim}\) was stopped by SIGSTOP")
        trial.log(rf"WORKER TIMEOUT \(pid:{victim}\)")
        server.wait_workers(2, without=[victim])
        trial.status("restarts.heartbeat = 1; problems", lambda status: status["restarts"]["heartbeat"] == 1)


def test_the_admin_process_is_stopped(start, stopped):
    server = start(example("echo"), "-w", "2", "--heartbeat-timeout", "2")
    victim = eventually("the admin process", lambda: chaos.admin_pid(server))
    with Trial("SIGSTOP of the admin process", server) as trial:
        stopped(victim)
        trial.log(rf"The admin process \(pid:{victim}\) was sent SIG\w+.*; it is started again")
        trial.status("process_restarts.admin = 1; problems", lambda status: status["process_restarts"]["admin"] == 1)


def test_the_template_is_stopped_and_a_worker_dies(start, stopped):
    server = start(example("echo"), "-w", "2", "--boot-timeout", "3")
    victim, template = server.wait_workers(2)[0], server.template()
    with Trial("SIGSTOP of the template, and a worker dies", server, CLIENTS, IN_HAND) as trial:
        stopped(template)
        trial.problem(rf"narwhal: template .*\(pid:{template}\) was stopped by SIGSTOP")
        kill(victim)
        trial.log(r"Template of generation 1 ended: .*SIGKILL.*\. Its workers continue to serve")
        server.wait_workers(2, without=[victim])
        trial.status("process_restarts.template = 1; problems", lambda status: status["process_restarts"]["template"] == 1)


def test_the_template_is_stopped_and_a_reload_comes(start, stopped):
    server = start(example("echo"), "-w", "2")
    server.wait_workers(2)
    with Trial("SIGSTOP of the template, and a reload", server) as trial:
        stopped(server.template())
        server.reload()
        trial.log(r"Template of generation 1 \(pid:\d+\) has not ended within 2 s of its last worker: it is killed")
        trial.status("problems; transactions: swapped", lambda status: status["transactions"][-1]["outcome"] == "swapped")


def test_the_master_is_stopped(start, stopped):
    server = start(example("echo"), "-w", "2", "--heartbeat-timeout", "2")
    workers = server.wait_workers(2)
    with Trial("SIGSTOP of the master for 10 s", server) as trial:
        stopped(server.pid)
        trial.goes_on(500)
        seen = trial.status("alive: false, not_alive; problems", lambda status: not status["alive"])
        assert seen["ready"], "its workers serve on"
        os.kill(server.pid, signal.SIGCONT)
        trial.log(r"The master did not run for \d+\.\d s")
        trial.status("alive: false, not_alive; later problems", lambda status: status["alive"] and
                     chaos.has_problem(status, "The master did not run"))
    assert server.worker_pids() == workers


@needs_python
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_the_log_process(start, stopped, number):
    server = start(example("echo"), "-w", "2", "--statsd-host", "127.0.0.1:9")
    victim = eventually("the log process", lambda: chaos.log_pid(server))
    with Trial(f"{number.name} of the log process", server) as trial:
        stopped(victim)
        if number == signal.SIGKILL:
            kill(victim)
            trial.log(rf"The log process \(pid:{victim}\) was sent SIGKILL; it is started again")
            trial.status("process_restarts.log = 1; problems", lambda status: status["process_restarts"]["log"] == 1)
        else:
            trial.goes_on(500)
            trial.problem(rf"narwhal: log .*\(pid:{victim}\) was stopped by SIGSTOP")
            os.kill(victim, signal.SIGCONT)
            trial.log(rf"narwhal: log .*\(pid:{victim}\) was stopped by SIGSTOP")


# ---- killed at the first start ----
@needs_python
@pytest.mark.parametrize("who", ["worker", "template"])
def test_killed_at_the_first_start(keep, slow_boot, tmp_path, who):
    """The server ends, as Gunicorn does, and whoever keeps it starts it again; clients wait in the socket's queue."""
    slow_boot(1.5)
    server = keep("slow_boot:app", "--chdir", tmp_path, "-w", "2", *(["--preload"] if who == "template" else []))
    victim = chaos.wait_for_process(server, f"narwhal: {who}")
    kill(victim)
    slow_boot(0)
    with Trial(f"kill -9 of a {who} at the first start", server, target="/") as trial:
        trial.mark = 0
        trial.log(rf"\(pid:{victim}\) was sent SIGKILL")
        trial.status("a new server: transactions: start swapped", lambda status: status["generation"] == 1)
    assert server.ended == [3]


@needs_python
def test_the_admin_process_is_killed_at_the_first_start(keep, slow_boot, tmp_path):
    slow_boot(1.5)
    server = keep("slow_boot:app", "--chdir", tmp_path, "-w", "2")
    victim = chaos.wait_for_process(server, "narwhal: admin")
    kill(victim)
    with Trial("kill -9 of the admin process at the first start", server, target="/") as trial:
        trial.mark = 0
        trial.log(rf"The admin process \(pid:{victim}\) was sent SIGKILL; it is started again")
        trial.status("process_restarts.admin = 1; problems", lambda status: status["process_restarts"]["admin"] == 1)
    assert not server.ended


@needs_python
def test_the_master_is_killed_at_the_first_start(keep, slow_boot, tmp_path):
    slow_boot(1.5)
    stage = tmp_path / "stage"
    stage.mkdir()
    server = keep("slow_boot:app", "--chdir", tmp_path, "-w", "2", "--stage-dir", stage)
    chaos.wait_for_process(server, "narwhal: worker")
    kill(server.pid)
    with Trial("kill -9 of the master at the first start", server, target="/") as trial:
        trial.mark = 0
        eventually("started again", lambda: len(server.masters) == 2)
        trial.status("a new server: pid, uptime_seconds", lambda status: status["pid"] == server.masters[1])
        trial.log(rf"Listening at: .* \({server.masters[1]}\)")
        assert len(list(stage.iterdir())) == 1, "the copies of the killed one are removed"


@needs_python
def test_a_successor_is_killed_at_its_boot(start, slow_boot, tmp_path):
    server = start("slow_boot:app", "--chdir", tmp_path, "-w", "2")
    victim = server.wait_workers(2)[0]
    with Trial("kill -9 of a worker, and of its successor at the boot", server, CLIENTS, IN_HAND, target="/") as trial:
        slow_boot(1.5)
        kill(victim)
        successor = int(server.wait_for(r"Booting worker with pid: (\d+)", after=trial.mark)[1])
        kill(successor)
        trial.log(rf"Worker \(pid:{successor}\) did not boot: .*was sent SIGKILL")
        trial.status("restarts.crash = 1, restarts.boot = 1; problems",
                     lambda status: status["restarts"]["boot"] == status["restarts"]["crash"] == 1)
        server.wait_workers(2, without=[victim, successor])


# ---- killed in a reload ----
@needs_python
@pytest.mark.parametrize("who", ["worker", "template"])
def test_killed_in_a_reload(start, slow_boot, tmp_path, who):
    server = start("slow_boot:app", "--chdir", tmp_path, "-w", "2", *(["--preload"] if who == "template" else []))
    before = server.wait_workers(2)
    with Trial(f"kill -9 of a {who} of the next generation, in a reload", server, target="/") as trial:
        slow_boot(1.5)
        known = {server.template(), *before}
        server.send(signal.SIGHUP)
        victim = eventually("a process of the next generation", lambda: next(
            (pid for pid, title in server.processes().items()
             if title.startswith(f"narwhal: {who}") and pid not in known), None), pause=0.005)
        kill(victim)
        step = {"worker": "boot", "template": "load"}[who]
        trial.log(rf"Reload failed at step '{step}': .*\(pid:{victim}\) was sent SIGKILL.*; generation 1 continues to serve")
        trial.status("transactions: refused, with the reason; reloads.refused = 1",
                     lambda status: status["reloads"]["refused"] == 1 and "SIGKILL" in status["transactions"][-1]["reason"])
        slow_boot(0)
        server.reload()
    assert not set(before) & set(server.worker_pids())


@needs_python
def test_a_worker_that_serves_is_killed_in_a_reload(start, slow_boot, tmp_path):
    server = start("slow_boot:app", "--chdir", tmp_path, "-w", "2")
    victim = server.wait_workers(2)[0]
    with Trial("kill -9 of a worker that serves, in a reload", server, CLIENTS, IN_HAND, target="/") as trial:
        slow_boot(1.5)
        server.send(signal.SIGHUP)
        server.wait_for("Hang up: Master", after=trial.mark)
        kill(victim)
        trial.log(rf"Worker \(pid:{victim}\) was sent SIGKILL")
        trial.status("restarts.crash = 1; problems", lambda status: status["restarts"]["crash"] == 1)
        server.wait_for("Generation 2 is ready", after=trial.mark)


@needs_python
def test_the_admin_process_is_killed_in_a_reload(start, slow_boot, tmp_path):
    server = start("slow_boot:app", "--chdir", tmp_path, "-w", "2")
    victim = eventually("the admin process", lambda: chaos.admin_pid(server))
    with Trial("kill -9 of the admin process in a reload", server, target="/") as trial:
        slow_boot(1.5)
        reload = Background(narwhalctl, server.control, "reload")
        server.wait_for("Hang up: Master", after=trial.mark)
        time.sleep(0.5)  # narwhalctl has its answer, and waits for the outcome
        kill(victim)
        trial.log(rf"The admin process \(pid:{victim}\) was sent SIGKILL; it is started again")
        trial.status("process_restarts.admin = 1; problems", lambda status: status["process_restarts"]["admin"] == 1)
        assert reload.result().returncode == 0, "narwhalctl asks the next one"
        assert server.admin.status()["generation"] == 2


@needs_python
def test_the_master_is_killed_in_a_reload(keep, slow_boot, tmp_path):
    server = keep("slow_boot:app", "--chdir", tmp_path, "-w", "2")
    server.ready_again(1)
    with Trial("kill -9 of the master in a reload", server, target="/") as trial:
        slow_boot(1.5)
        server.send(signal.SIGHUP)
        server.wait_for("Hang up: Master", after=trial.mark)
        time.sleep(0.5)
        slow_boot(0)
        kill(server.pid)
        trial.log(r"The master is gone: worker \(pid:\d+\) leaves")
        eventually("started again", lambda: len(server.masters) == 2)
        trial.status("a new server: pid, uptime_seconds", lambda status: status["pid"] == server.masters[1])
    assert server.ended == [-signal.SIGKILL]


# ---- killed in a drain ----
def draining(server):
    """A request that runs for 3 s in a worker of a generation that leaves: (the request, the worker's pid, the template's)."""
    slow = Background(server.get, "/slow?sleep=3", timeout=30)

    def busy():
        return next((worker["pid"] for each in server.admin.status()["generations"] for worker in each["workers"]
                     if any(request["target"].startswith("/slow") for request in worker["running"])), None)
    worker, template = eventually("it runs", busy), server.template()
    server.send(signal.SIGHUP)
    server.wait_for("Generation 2 is ready")
    return slow, worker, template


def test_a_worker_is_killed_in_a_drain(start):
    server = start(example("echo"), "-w", "2")
    server.wait_workers(2)
    with Trial("kill -9 of a worker that drains", server, 1, "the request in its hand") as trial:
        slow, victim, _ = draining(server)
        time.sleep(0.5)  # its other connections have ended
        kill(victim)
        with pytest.raises(WireError):
            slow.result()
        trial.lost(1)
        trial.log(rf"Worker \(pid:{victim}\) \[echo\] was running: GET /slow")
        trial.problem("was running: GET /slow")


def test_the_template_is_killed_in_a_drain(start):
    server = start(example("echo"), "-w", "2")
    server.wait_workers(2)
    with Trial("kill -9 of the template of a generation that drains", server) as trial:
        slow, _, victim = draining(server)
        kill(victim)
        assert slow.result().status == 200
        trial.log(rf"Template of generation 1 ended before its last worker: template \(pid:{victim}\) was sent SIGKILL")
        trial.problem("Template of generation 1 ended before its last worker")


def test_the_admin_process_is_killed_in_a_drain(keep):
    server = keep(example("echo"), "-w", "2")
    server.ready_again(1)
    with Trial("kill -9 of the admin process in a drain", server) as trial:
        slow = Background(server.get, "/slow?sleep=3", timeout=30)
        eventually("it runs", lambda: server.admin.status()["handlers"]["busy"] >= 1)
        victim = chaos.admin_pid(server)
        server.send(signal.SIGTERM)
        server.wait_for("Handling signal: term", after=trial.mark)
        kill(victim)
        trial.log(rf"The admin process \(pid:{victim}\) was sent SIGKILL; it is started again")
        trial.status("stopping; process_restarts.admin = 1",
                     lambda status: status["stopping"] and status["process_restarts"]["admin"] == 1)
        assert slow.result().status == 200
        server.ready_again(2)
    assert server.ended == [0]


def test_the_master_is_killed_in_a_drain(keep):
    server = keep(example("echo"), "-w", "2")
    server.ready_again(1)
    with Trial("kill -9 of the master in a drain", server) as trial:
        slow = Background(server.get, "/slow?sleep=3", timeout=30)
        eventually("it runs", lambda: server.admin.status()["handlers"]["busy"] >= 1)
        server.send(signal.SIGTERM)
        server.wait_for("Handling signal: term", after=trial.mark)
        kill(server.pid)
        trial.log(r"The master is gone: worker \(pid:\d+\) leaves")
        assert slow.result().status == 200, "a worker without a master finishes what it has in hand, for 4 s"
        eventually("started again", lambda: len(server.masters) == 2)
        trial.status("a new server: pid, uptime_seconds", lambda status: status["pid"] == server.masters[1])
    assert server.ended == [-signal.SIGKILL]
