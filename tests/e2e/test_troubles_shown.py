"""What goes wrong beside the workers is in the log and in the status: a process that is stopped or has ended, a clock that was
set, descriptors that have run out."""
import os
import signal
import socket
import time
from email.utils import parsedate_to_datetime

import pytest

import proc
from admin_client import Admin, narwhalctl
from clock import eventually
from hardships import WallClock, leave_descriptors
from load import Background
from server import SANITIZED, example


@pytest.fixture
def start(serve, tmp_path):
    def run(*args, **named):
        server = serve(*args, "--control-socket", tmp_path / "control.sock", **named)
        server.admin = Admin(tmp_path / "control.sock")
        return server
    return run


def problems(server):
    return [problem["text"] for problem in server.admin.status()["problems"]]


def shows(server, text):
    eventually(f"{text!r} in the status", lambda: any(text in problem for problem in problems(server)))


def test_a_server_that_is_well_has_no_problems(start):
    server = start(example("echo"), "--user", str(os.geteuid()))
    server.wait_serving()
    assert [text for text in problems(server) if "run as root" not in text] == []
    assert set(server.admin.status()["process_restarts"].values()) == {0}


def test_a_template_that_is_killed_is_counted_and_its_line_shown(start, tmp_path):
    server = start(example("echo"))
    server.wait_serving()
    template = server.template()
    os.kill(template, signal.SIGKILL)
    shows(server, f"Template of generation 1 ended: template (pid:{template}) was sent SIGKILL")
    assert server.admin.status()["process_restarts"] == {"admin": 0, "log": 0, "template": 1}
    assert server.admin.total("narwhal_process_restarts_total", 'process="template"') == 1
    shown = narwhalctl(tmp_path / "control.sock", "status").stdout
    assert "template process started again: 1\n" in shown and "error: Template of generation 1 ended" in shown


def test_a_template_that_is_killed_while_its_last_worker_drains(start):
    server = start(example("echo"), "-w", "1")
    server.wait_serving()
    slow, template = Background(server.get, "/?sleep=2&size=1", timeout=20), server.template()
    eventually("it runs", lambda: server.admin.status()["handlers"]["busy"] == 1)
    server.send(signal.SIGHUP)
    server.wait_for("Generation 2 is ready")
    os.kill(template, signal.SIGKILL)
    server.wait_for(rf"\[WARNING\] Template of generation 1 ended before its last worker: template \(pid:{template}\) was sent SIGKILL")
    shows(server, "Template of generation 1 ended before its last worker")
    assert slow.result().body == b"x"
    assert server.admin.status()["process_restarts"]["template"] == 0


@pytest.mark.parametrize("who", ["template", "worker"])
def test_a_process_that_is_stopped_is_named(start, who):
    server = start(example("echo"))
    pid = server.template() if who == "template" else server.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        server.wait_for(rf"\[WARNING\] narwhal: {who} .*\[echo\] gen 1 \(pid:{pid}\) was stopped by SIGSTOP: it does nothing until SIGCONT")
        shows(server, "was stopped by SIGSTOP")
    finally:
        os.kill(pid, signal.SIGCONT)
    server.wait_serving()


def test_a_master_that_was_stopped_says_for_how_long(start):
    server = start(example("echo"))
    server.wait_serving()
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(3.5)
    os.kill(server.pid, signal.SIGCONT)
    server.wait_for(r"\[WARNING\] The master did not run for [234]\.\d s")
    shows(server, "The master did not run for")


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has its own functions for the clock")
def test_a_clock_that_was_set_is_named_and_changes_only_dates(start, tmp_path):
    clock = WallClock(tmp_path)
    server = start(example("echo"), "--timeout", "2", "--heartbeat-timeout", "2", env=clock.environment)
    workers = server.wait_workers(1)
    slow = Background(server.get, "/?sleep=1&size=1", timeout=20)
    clock.set(-86400)
    server.wait_for(r"\[WARNING\] The system clock was set back by 86400\.0 s")
    shows(server, "The system clock was set back by 86400.0 s")
    eventually("the new time", lambda: abs(parsedate_to_datetime(server.get("/").header("Date")).timestamp() + 86400 - time.time()) < 5)
    clock.set(3600)
    server.wait_for(r"\[WARNING\] The system clock was set forward by 90000\.0 s")
    assert slow.result().body == b"x"
    assert server.worker_pids() == workers and server.admin.status()["uptime_seconds"] < 600


def test_a_command_whose_answer_is_lost_is_not_called_something_else(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        ending = Background(lambda: listener.accept()[0].recv(1000))  # and closes it
        result = narwhalctl(tmp_path / "control.sock", "reopen")
        assert ending.result().startswith(b"POST /commands/reopen")
    assert result.returncode == 3
    assert "the admin process has ended before it answered; whether a command was carried out is in narwhalctl status" in result.stderr


def test_a_worker_without_descriptors_leaves_connections_to_the_other_one(start):
    server = start(example("echo"), "-w", "2")
    workers = server.wait_workers(2)
    with server.load(clients=6, keep_alive=False) as load:
        load.wait_for_more(50)
        restore = leave_descriptors(workers[0], 0)
        server.wait_for("accept: Too many open files")
        load.wait_for_more(300)
        assert server.admin.status()["totals"]["not_accepted"] > 0
        assert server.admin.total("narwhal_accept_errors_total") > 0
        restore()
        load.wait_for_more(50)
    load.assert_clean(400)
    assert server.worker_pids() == workers and proc.alive(workers[0])
