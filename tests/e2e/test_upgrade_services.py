"""USR2 where other things depend on the server's pid: systemd, --daemon, Python applications, hooks."""
import os
import re
import signal
import socket
import struct
import time

import pytest

import proc
from clock import eventually
from load import Load
from server import BINARY
from test_daemon import daemon
from upgrading import ECHO, SERVES, Upgrading, program, replace
from wire import fetch

APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"v1"]
"""


class Manager:
    """systemd's side of sd_notify with NotifyAccess=main: it believes the main process alone."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind(self.path)
        self.main, self.status, self.refused, self.ready = None, "", [], 0
        self.mains = []  # one after the other

    def read(self):
        while True:
            try:
                data, control, _, _ = self.sock.recvmsg(4096, 1024, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return self
            sender = struct.unpack("3i", control[0][2])[0]
            self.main = self.main or sender
            message = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            if sender != self.main:
                self.refused.append((sender, message))
                continue
            self.main = int(message.get("MAINPID", self.main))
            if self.mains[-1:] != [self.main]:
                self.mains.append(self.main)
            self.status = message.get("STATUS", self.status)
            self.ready += "READY" in message

    def wait_for(self, what, condition):
        eventually(what, lambda: condition(self.read()), 15)


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path / "notify.sock")
    yield made
    made.sock.close()


def test_the_new_master_is_the_service_when_it_is_ready(serve, manager):
    server = serve(ECHO, "-w", "1", env={"NOTIFY_SOCKET": manager.path})
    upgrade = Upgrading(server)
    new = upgrade.usr2()
    manager.wait_for("the new master is the service", lambda seen: seen.main == new and seen.ready == 2)
    assert "1 of 1 workers serving" in manager.status
    os.kill(new, signal.SIGHUP)
    manager.wait_for("its reload", lambda seen: seen.ready == 3 and "Generation 2" in seen.status)
    upgrade.finish(new)
    # systemd waits only for a child of its own, and looks whose child it is when the main process changes.
    manager.wait_for("another main process for a moment", lambda seen: len(seen.mains) == 4)
    helper = manager.mains[2]
    assert manager.mains == [server.pid, new, helper, new]
    upgrade.stop_all()
    eventually("the helper gone", lambda: not proc.alive(helper))
    assert manager.read().refused == []


def test_the_old_master_is_the_service_again_when_the_new_one_is_stopped(serve, manager):
    server = serve(ECHO, "-w", "1", env={"NOTIFY_SOCKET": manager.path})
    upgrade = Upgrading(server)
    new = upgrade.usr2()
    manager.wait_for("the new master is the service", lambda seen: seen.main == new and seen.ready == 2)
    upgrade.back(new)
    manager.wait_for("the old master is the service", lambda seen: seen.main == server.pid and seen.ready == 3)
    assert manager.status == "Generation 1: 1 of 1 workers serving"
    server.send(signal.SIGHUP)
    manager.wait_for("its reload", lambda seen: seen.ready == 4 and "Generation 2" in seen.status)
    assert manager.refused == []


def test_a_failed_upgrade_is_in_the_status_until_the_next_one(serve, manager, tmp_path):
    server = serve(ECHO, "-w", "1", env={"NOTIFY_SOCKET": manager.path}, binary=program(tmp_path))
    upgrade = Upgrading(server)
    replace(server.binary, "#!/bin/sh\nexit 7\n")
    server.send(signal.SIGUSR2)
    upgrade.failed("the new master .* exited with code 7")
    manager.wait_for("the status", lambda seen: re.search(r"Upgrade failed: the new master .* exited with code 7", seen.status))
    assert manager.main == server.pid
    replace(server.binary)
    new = upgrade.usr2()
    manager.wait_for("the new master is the service", lambda seen: seen.main == new and "failed" not in seen.status)
    upgrade.finish(new)
    # A helper is the main process for a moment: what the new master says meanwhile would be refused.
    manager.wait_for("the new master is the main process for good", lambda seen: len(seen.mains) == 4)
    upgrade.stop_all()
    assert manager.read().refused == []


def test_a_stop_before_the_new_master_is_ready_hands_the_service_over(serve, manager, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    server = serve("shop:app", "-w", "1", env={"NOTIFY_SOCKET": manager.path})
    upgrade = Upgrading(server)
    (tmp_path / "shop.py").write_text("import time\nopen('begun', 'w').close()\n"
                                      "while not os.path.exists('go'):\n    time.sleep(0.02)\n".replace("import", "import os,", 1)
                                      + APP)
    server.send(signal.SIGUSR2)
    eventually("the import begun", (tmp_path / "begun").exists)
    new, = set(upgrade.masters()) - {server.pid}
    assert server.stop(signal.SIGTERM) == 0
    manager.wait_for("the new master is the service", lambda seen: seen.main == new)
    (tmp_path / "go").touch()
    manager.wait_for("ready", lambda seen: "1 of 1 workers serving" in seen.status)
    upgrade.stop_all()
    assert manager.read().refused == []


def test_sockets_of_systemd_stay(tmp_path, serve):
    """They are numbered from 3 on; systemd removes the file of a Unix socket itself."""
    listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
    listeners[1].bind(str(tmp_path / "s.sock"))
    listeners[1].listen(100)
    # The shell has the pid that LISTEN_PID must name.
    wrapper = tmp_path / "activate"
    low, high = (listener.fileno() for listener in listeners)
    wrapper.write_text(f'#!/bin/bash\nexec {{a}}<&{low} {{b}}<&{high}\nexec 3<&$a 4<&$b\n'
                       f'export LISTEN_PID=$$ LISTEN_FDS=2\nexec {BINARY} "$@"\n')
    wrapper.chmod(0o755)
    server = serve(ECHO, "-w", "1", binary=wrapper, pass_fds=(low, high))
    addresses = [listeners[0].getsockname(), str(tmp_path / "s.sock")]
    for listener in listeners:
        listener.close()
    upgrade = Upgrading(server)
    loads = [Load(address, clients=2, keep_alive=False).start() for address in addresses]
    for _ in range(2):
        pid = max(upgrade.masters(), key=lambda pid: pid == server.pid)
        os.kill(pid, signal.SIGUSR2)
        eventually("two masters", lambda: len(upgrade.masters()) == 2)
        server.wait_for(rf"this one \(pid:{pid}\) to finish")
        os.kill(pid, signal.SIGTERM)
        if pid == server.pid:
            assert server.wait_exit() == 0
        eventually("one master", lambda: len(upgrade.masters()) == 1)
        for load in loads:
            load.wait_for_more(10)
    for load in loads:
        load.stop().assert_clean()
    upgrade.stop_all()
    assert (tmp_path / "s.sock").exists()


@pytest.mark.parametrize("flags", [(), ("--preload",), ("--threads", "4")])
def test_a_python_application_is_upgraded_without_a_failed_request(serve, tmp_path, flags):
    (tmp_path / "shop.py").write_text(APP)
    server = serve("shop:app", "-w", "2", "-b", f"unix:{tmp_path}/a.sock", *flags, binary=program(tmp_path))
    upgrade = Upgrading(server)
    with upgrade.loads() as loads:
        (tmp_path / "shop.py").write_text(APP.replace("v1", "v2"))
        replace(server.binary)
        new = upgrade.usr2()
        upgrade.finish(new)
        for load in loads:
            load.wait_for_body(b"v2")
    assert fetch(str(tmp_path / "a.sock")).text == "v2"
    upgrade.stop_all()


def test_the_new_program_has_the_environment_of_the_start_and_the_application_does_not_see_ours(serve, tmp_path):
    (tmp_path / "shop.py").write_text(APP.replace('b"v1"', 'repr(sorted(os.environ.items())).encode()'))
    server = serve("shop:app", "-w", "1", "--env", "MADE=by narwhal", env={"COLOUR": "green blue"})
    upgrade = Upgrading(server)
    before = server.get().text
    upgrade.finish(upgrade.usr2())
    assert fetch(server.address).text == before
    assert "('COLOUR', 'green blue')" in before and "NARWHAL_UPGRADE" not in before
    upgrade.stop_all()


def test_the_new_master_has_no_descriptor_of_the_old_one(serve, tmp_path):
    server = serve(ECHO, "-w", "1", "-p", tmp_path / "pid", "--error-logfile", tmp_path / "log", wait=False)
    eventually("ready", lambda: (tmp_path / "log").exists() and "is ready" in (tmp_path / "log").read_text())
    server.expected_exit = (0,)
    before = sorted(proc.descriptors(server.pid).values())
    server.send(signal.SIGUSR2)
    new = int(eventually("it serves", lambda: re.search(SERVES, (tmp_path / "log").read_text()))[1])
    server.send(signal.SIGTERM)
    assert server.wait_exit() == 0
    eventually("promoted", lambda: "promoted" in (tmp_path / "log").read_text())

    def kinds(shown):
        return sorted(re.sub(r"pid\.\w+|\d+|narwhal-\w+", "N", text) for text in shown)
    end = time.monotonic() + 5
    while time.monotonic() < end and kinds(proc.descriptors(new).values()) != kinds(before):
        time.sleep(0.05)
    assert kinds(proc.descriptors(new).values()) == kinds(before)
    Upgrading(server).stop_all()


# ---- --daemon ----

def test_a_daemon_is_upgraded_too(daemon, tmp_path):
    assert daemon.start(ECHO).returncode == 0
    old = daemon.pid
    with Load(daemon.address(), keep_alive=False) as load:
        os.kill(old, signal.SIGUSR2)
        new = int(eventually("it serves", lambda: re.search(SERVES, daemon.log), 20)[1])
        assert proc.descriptors(new)[0] == "/dev/null" and os.getsid(new) == os.getsid(old)
        os.kill(old, signal.SIGTERM)
        eventually("the pid file", lambda: daemon.pidfile.exists() and daemon.pid == new)
        load.wait_for_more(20)
    load.assert_clean()
    daemon.stop()
    assert "[ERROR]" not in daemon.log and not daemon.pidfile.exists()


def test_a_daemon_takes_back_and_names_the_reason(daemon):
    (daemon.folder / "conf.yaml").write_text(f"app: {ECHO}\n")
    assert daemon.start("-c", "conf.yaml").returncode == 0
    (daemon.folder / "conf.yaml").write_text(f"app: {ECHO}\nthread: 3\n")
    os.kill(daemon.pid, signal.SIGUSR2)
    eventually("the reason", lambda: re.search(r"Upgrade failed: .*conf\.yaml:2.*thread", daemon.log))
    assert daemon.get().status == 200
    daemon.stop()


# ---- hooks of gunicorn.conf.py ----

def test_pre_exec_runs_before_the_new_program_is_started(serve, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "import time\n"
        "def pre_exec(server):\n    time.sleep(0.5)\n    server.log.info('pre_exec of %s', server.pid)\n")
    (tmp_path / "shop.py").write_text(APP)
    server = serve("shop:app", "-w", "1")
    upgrade = Upgrading(server)
    with upgrade.loads():
        new = upgrade.usr2()
        log = server.log()
        assert "ignored, because" not in log
        assert log.count(f"pre_exec of {server.pid}") == 1
        assert log.index("pre_exec of") < log.index("is started as a new master")
        upgrade.finish(new)
    upgrade.stop_all()


def test_a_pre_exec_that_raises_does_not_keep_the_upgrade_from_happening(serve, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("def pre_exec(server):\n    raise RuntimeError('not today')\n")
    (tmp_path / "shop.py").write_text(APP)
    server = serve("shop:app", "-w", "1")
    upgrade = Upgrading(server)
    new = upgrade.usr2()
    assert "Exception in pre_exec hook" in server.log()
    upgrade.finish(new)
    upgrade.stop_all()
