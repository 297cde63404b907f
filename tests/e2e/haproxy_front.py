"""A real HAProxy in front of real servers, with a file of conf/haproxy as shipped; only addresses, and what needs root or a
system log, are replaced."""
import re
import shutil
import signal
import socket
import subprocess

import pytest

from clock import eventually, scaled
from server import ROOT

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
needs_haproxy = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")
FOLDER = ROOT / "conf/haproxy"
PORTS = {"narwhal.cfg": 8000, "narwhal-fastcgi.cfg": 9000}
BY_ROOT = "    log /dev/log local0\n    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n"


def shipped(name, replaced):
    """A file of conf/haproxy with other texts in it: a replacement that finds nothing to replace is an error."""
    text = (FOLDER / name).read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Haproxy:
    """One process. `address` is that of its frontend, `socket` the path of its stats socket."""

    def __init__(self, folder, name, upstreams, replaced):
        self.folder, self.socket = folder, folder / "admin.sock"
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        servers = {f"    server n{number} 127.0.0.1:{PORTS[name] + number}\n": "" for number in range(len(upstreams) + 1, 4)}
        for number, upstream in enumerate(upstreams, 1):
            servers[f"server n{number} 127.0.0.1:{PORTS[name] + number}\n"] = f"server n{number} %s:%d\n" % upstream
        text = shipped(name, {BY_ROOT: "    log stderr format raw local0\n    nbthread 1\n",
                              "/run/haproxy/admin.sock mode 660": f"{self.socket} mode 600",
                              "bind :80": f"bind fd@{listener.fileno()}", **servers, **replaced})
        (folder / "haproxy.cfg").write_text(text)
        command = [HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")]
        with open(folder / "haproxy.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=[listener.fileno()])
        self.address = listener.getsockname()
        listener.close()

    def log(self):
        return (self.folder / "haproxy.log").read_text()

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(scaled(10))
            sock.connect(str(self.socket))
            sock.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def servers(self):
        """{name: {column: text}} of `show stat`."""
        head, *rows = [line.split(",") for line in self.ask("show stat").lstrip("# ").splitlines() if line]
        table = [dict(zip(head, row)) for row in rows]
        return {row["svname"]: row for row in table if row["pxname"] == "narwhal" and row["type"] == "2"}

    def wait_up(self, count):
        def checked():
            rows = self.servers().values() if self.socket.exists() else ()
            return len(rows) == count and all(row["status"] == "UP" and row["check_status"] == "L7OK" for row in rows)
        eventually(f"{count} servers checked and up: {self.log()}", checked)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture
def haproxy(tmp_path):
    """haproxy(upstreams, name="narwhal.cfg", replaced={}) starts one in front of addresses of servers, and returns it when its
    first checks have passed."""
    running = []

    def start(*upstreams, name="narwhal.cfg", replaced=None):
        folder = tmp_path / f"haproxy{len(running)}"
        folder.mkdir()
        running.append(Haproxy(folder, name, upstreams, replaced or {}))
        running[-1].wait_up(len(upstreams))
        assert not re.search(r"\[(WARNING|ALERT)\]", running[-1].log()), running[-1].log()
        return running[-1]

    yield start
    for process in running:
        process.end()
