"""sd_notify: READY when the first generation is ready and not before, RELOADING, STOPPING, STATUS."""
import os
import re
import signal
import socket
import time

import pytest

from clock import eventually, scaled
from load import Background
from plugin_files import becomes, deploy, versioned
from server import WSGI, example, test_plugin


class NotifySocket:
    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.messages = []  # each a dict

    def drain(self):
        while True:
            try:
                data = self.sock.recv(4096, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line))

    def wait(self, key, value=None, count=1, timeout=15):
        def found():
            matching = [message for message in self.drain() if key in message and value in (None, message[key])]
            return matching[count - 1] if len(matching) >= count else None
        return eventually(f"{key}={value} x {count} in {self.messages}", found, timeout)

    def has(self, key):
        return any(key in message for message in self.drain())


@pytest.fixture
def notify(tmp_path):
    made = NotifySocket(tmp_path / "notify.sock")
    yield made
    made.sock.close()


def test_ready_comes_when_workers_serve(serve, notify):
    server = serve(example("echo"), "-w", "2", env={"NOTIFY_SOCKET": notify.path})
    ready = notify.wait("READY", "1")
    assert len(server.workers()) == 2
    assert "STATUS" in ready or notify.has("STATUS")
    assert server.get("/", timeout=2).status == 200


def test_an_abstract_notify_socket_works_too(serve):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"narwhal-test-{os.getpid()}-{time.monotonic_ns()}"
    sock.bind("\0" + name)
    sock.settimeout(scaled(15))
    serve(example("echo"), env={"NOTIFY_SOCKET": "@" + name})
    assert b"READY=1" in sock.recv(4096)
    sock.close()


def test_ready_is_never_said_of_a_server_that_cannot_boot(serve, notify):
    server = serve(test_plugin("init_fails"), "-w", "2", wait=False, env={"NOTIFY_SOCKET": notify.path})
    assert server.wait_exit() == 3
    assert not notify.has("READY")


def test_ready_waits_for_a_slow_init(serve, notify):
    server = serve(test_plugin("init_hangs"), "-w", "1", "--boot-timeout", "2", wait=False,
                   env={"NOTIFY_SOCKET": notify.path})
    server.wait_for("Listening at")
    assert server.wait_exit() == 3
    assert not notify.has("READY")


def test_a_reload_is_reloading_then_ready(serve, notify, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, env={"NOTIFY_SOCKET": notify.path})
    notify.wait("READY", "1")
    deploy(app, "v2")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.send(signal.SIGHUP)
    reloading = notify.wait("RELOADING", "1")
    stamp = int(reloading["MONOTONIC_USEC"])
    assert before <= stamp <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify.wait("READY", "1", count=2)
    assert server.get("/").text == "v2", "READY was said before the new generation served"
    order = [key for message in notify.messages for key in message if key in ("READY", "RELOADING")]
    assert order == ["READY", "RELOADING", "READY"]


def test_a_failed_reload_ends_in_ready_and_says_so(serve, notify, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, env={"NOTIFY_SOCKET": notify.path})
    notify.wait("READY", "1")
    becomes(app, "init_fails")
    server.send(signal.SIGHUP)
    notify.wait("RELOADING", "1")
    notify.wait("READY", "1", count=2)
    eventually("a STATUS that tells of the failure", lambda: any(
        re.search("(?i)fail|refused|kept|discard", message.get("STATUS", "")) for message in notify.drain()))
    assert server.get("/").text == "v1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping(serve, notify, number):
    server = serve(example("echo"), env={"NOTIFY_SOCKET": notify.path})
    notify.wait("READY", "1")
    assert server.stop(number) == 0
    notify.wait("STOPPING", "1")


def test_workers_do_not_inherit_the_notify_socket(serve, notify):
    """systemd would believe a worker that sends READY or MAINPID."""
    serve(example("echo"), env={"NOTIFY_SOCKET": notify.path})
    notify.wait("READY", "1")
    assert not [message for message in notify.messages if "MAINPID" in message]


def test_a_missing_notify_socket_is_harmless(serve, tmp_path):
    server = serve(example("echo"), env={"NOTIFY_SOCKET": str(tmp_path / "gone.sock")})
    assert server.get("/").status == 200
    assert server.stop(signal.SIGTERM) == 0


# ---- the watchdog, and more time ----
def test_the_watchdog_is_fed_only_while_the_master_runs(serve, notify):
    server = serve(example("echo"), "-w", "1", env={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "600000"})
    notify.wait("WATCHDOG", "1", count=3)
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(0.2)
    before = len([message for message in notify.drain() if "WATCHDOG" in message])
    time.sleep(1)
    assert len([message for message in notify.drain() if "WATCHDOG" in message]) == before
    os.kill(server.pid, signal.SIGCONT)
    notify.wait("WATCHDOG", "1", count=before + 1)
    assert not {"WATCHDOG_USEC", "NOTIFY_SOCKET"} & set(environment_of(server.worker_pids()[0]))


def test_without_a_watchdog_nothing_is_sent(serve, notify):
    serve(example("echo"), "-w", "1", env={"NOTIFY_SOCKET": notify.path})
    time.sleep(0.5)
    assert not notify.has("WATCHDOG")


def environment_of(pid):
    with open(f"/proc/{pid}/environ") as file:
        return [line.partition("=")[0] for line in file.read().split("\0")]


def extensions(notify):
    return [message for message in notify.drain() if "EXTEND_TIMEOUT_USEC" in message]


@pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin")
def test_a_slow_start_or_reload_asks_for_more_time_while_it_lasts(serve, notify, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1.5)\n"
                                      "def app(environ, start_response):\n  start_response('200 OK', [])\n  return [b'x']\n")
    server = serve("--chdir", tmp_path, "slow:app", env={"NOTIFY_SOCKET": notify.path})
    assert len(extensions(notify)) == 1 and notify.has("READY")
    time.sleep(1.2)
    assert len(extensions(notify)) == 1, "nothing is asked for while it serves"
    server.send(signal.SIGHUP)
    notify.wait("READY", "1", count=2)
    assert len(extensions(notify)) == 2


def test_a_drain_asks_for_more_time_while_it_lasts(serve, notify):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "20", env={"NOTIFY_SOCKET": notify.path})
    request = Background(server.get, "/?sleep=7&size=3", timeout=20)
    time.sleep(0.3)
    server.send(signal.SIGTERM)
    assert request.result().body == b"xxx"
    assert len(extensions(notify)) == 2, "after one second and after six"
    assert server.wait_exit() == 0


def test_without_a_time_limit_for_the_boot_no_more_time_is_asked_for(serve, notify):
    server = serve(test_plugin("init_hangs"), "-w", "1", "--boot-timeout", "0", wait=False, env={"NOTIFY_SOCKET": notify.path})
    server.wait_for("Booting worker")
    time.sleep(1.5)
    assert not extensions(notify)
    assert server.stop() == 0


# ---- what the unit does not allow ----
AS_A_SERVICE = {"INVOCATION_ID": "0123456789abcdef0123456789abcdef"}


@pytest.mark.parametrize("words, means", [
    (["--access-logfile", "/sys/access.log"], "LogsDirectory="), (["--error-logfile", "/sys/error.log"], "LogsDirectory="),
    (["--pid", "/sys/narwhal.pid"], "RuntimeDirectory=")], ids=["accesslog", "errorlog", "pidfile"])
def test_a_file_that_the_unit_does_not_allow_is_reported_with_what_allows_it(serve, words, means):
    server = serve(example("echo"), *words, wait=False, env=AS_A_SERVICE)
    assert server.wait_exit() == 1
    assert means in server.log() and "systemctl edit" in server.log()


def test_the_logs_directory_of_the_unit_is_named(serve):
    server = serve(example("echo"), "--access-logfile", "/sys/access.log", wait=False,
                   env={**AS_A_SERVICE, "LOGS_DIRECTORY": "/var/log/shop"})
    assert server.wait_exit() == 1
    assert "name a file in /var/log/shop," in server.log()


def test_without_systemd_there_is_no_advice_about_units(serve):
    server = serve(example("echo"), "--access-logfile", "/sys/access.log", wait=False)
    assert server.wait_exit() == 1
    assert "systemd" not in server.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_user_that_the_unit_does_not_allow_is_reported_with_what_does(serve, tmp_path):
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder != tmp_path.parents[-1]:
            folder.chmod(folder.stat().st_mode | 0o055)
    def become_another():
        os.setgid(65534)
        os.setuid(65534)
    server = serve(example("echo"), "--user", "www-data", wait=False, env=AS_A_SERVICE, preexec=become_another)
    assert server.wait_exit() == 1
    assert "write User= and Group= into the unit (systemctl edit " in server.log()


def test_a_canary_is_in_the_status_and_asks_for_more_time(serve, notify):
    server = serve(example("echo"), "-w", "2", "--canary", "1", "--canary-time", "3", env={"NOTIFY_SOCKET": notify.path})
    notify.wait("READY", "1")
    server.send(signal.SIGHUP)
    notify.wait("STATUS", "Reloading, canary: 1 of 2 workers run generation 2")
    notify.wait("EXTEND_TIMEOUT_USEC")
    assert len([message for message in notify.drain() if "READY" in message]) == 1
    notify.wait("READY", "1", count=2)
