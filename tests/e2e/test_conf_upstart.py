"""conf/upstart as shipped, and what the server does for Upstart: `expect stop`, and the sockets of its bridge."""
import re
import signal
import socket

import pytest

import proc
import upstart_grammar
from clock import eventually
from server import ROOT, example, run

UPSTART = ROOT / "conf/upstart/narwhal.conf"


def test_the_job_of_upstart_keeps_to_its_grammar():
    text = UPSTART.read_text()
    assert upstart_grammar.faults_of(text) == []
    commented = text.replace("#start on socket", "start on socket")
    assert upstart_grammar.faults_of(commented) == [], "the line for the socket bridge too"


@pytest.mark.parametrize("line", [
    "respawn limit 5", "expect fork twice", "kill timeout soon", "reload HUP", "normal exit SIGNAL", "limit nofile 65536", "exec",
    "start in runlevel 2", "console file", "umask 9", "restart always", "pre-start mkdir /x", "stop on (runlevel 2"])
def test_the_checker_of_that_grammar_refuses_what_it_does_not_know(line):
    assert {number for number, _ in upstart_grammar.faults_of(f"exec /bin/true\n{line}\n")} == {2}


def test_under_upstart_the_server_stops_itself_once_when_it_is_ready(serve):
    server = serve(example("echo"), "-w", "1", env={"NARWHAL_EXPECT_STOP": "1"})
    stopped = eventually("the master stopped", lambda: proc.stat_fields(server.pid)[0] == b"T")
    assert stopped and "Generation 1 is ready" in server.log()
    server.send(signal.SIGCONT)
    server.reload()
    eventually("the master runs", lambda: proc.stat_fields(server.pid)[0] == b"S")
    with open(f"/proc/{server.worker_pids()[0]}/environ") as file:
        assert "NARWHAL_EXPECT_STOP" not in file.read()


def test_the_socket_of_upstarts_bridge_is_served(serve):
    listener = socket.create_server(("127.0.0.1", 0))
    number = listener.fileno()
    server = serve(example("echo"), "-w", "1", bind=None, pass_fds=[number], env={"UPSTART_FDS": str(number)})
    assert server.port == listener.getsockname()[1]
    listener.close()
    assert server.get("/").status == 200
    server.reload()
    assert server.get("/").status == 200


def test_the_job_waits_longer_for_a_stop_than_the_server_does():
    (seconds,) = re.findall(r"^kill timeout (\d+)$", UPSTART.read_text(), re.MULTILINE)
    default = re.search(r"^\s*graceful_timeout\s*[:=]\s*(\d+)", run("--print-config", "app.so").stdout, re.MULTILINE)[1]
    assert float(seconds) > float(default) + 5


def test_the_command_of_the_job_names_flags_that_the_server_knows():
    help_text = run("--help").stdout
    (command,) = re.findall(r"^exec (.*)$", UPSTART.read_text(), re.MULTILINE)
    flags = [word for word in command.split() if word.startswith("-")]
    assert {"--workers", "--error-logfile", "--access-logfile"} <= set(flags)
    for flag in flags:
        assert re.search(rf"(^|[\s,]){flag}\b", help_text, re.MULTILINE), flag
