"""Several servers behind one HAProxy, restarted one after the other by conf/haproxy/rolling-restart as shipped."""
import contextlib
import os
import socket
import subprocess
import sys
import threading

from clock import scaled
from haproxy_front import FOLDER
from load import Load

SCRIPT = FOLDER / "rolling-restart"
# What `systemctl restart` does: it asks somebody else, and returns when the server serves.
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.sendall(sys.argv[2].encode())
    sock.shutdown(socket.SHUT_WR)
    sys.exit(0 if sock.recv(16) == b"done" else 1)
"""


class Instances:
    """Servers n1, n2, n3 on loopback addresses that no other test has, so that a port that is free for a moment stays ours.
    Use it with `with`: it listens for the commands of rolling-restart."""

    def __init__(self, serve, folder, prefix, *args):
        self.serve, self.prefix, self.args = serve, prefix, args
        self.path = str(folder / "restart.sock")
        self.servers = {f"n{number}": self._start(number, 0) for number in (1, 2, 3)}
        self.restarted = []
        self.fails = ()  # names of servers whose restart fails
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def addresses(self):
        return [server.address for server in self.servers.values()]

    def restart(self, name):
        """TERM, and when it has ended, a new one at the same address; returns when that serves."""
        old = self.servers[name]
        old.stop()
        old.addresses = []  # its successor has it
        self.servers[name] = self._start(int(name[1:]), old.port)
        self.restarted.append(name)

    def _start(self, number, port):
        address = f"127.{100 + number}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}:{port}"
        return self.serve(*self.args, bind=self.prefix + address)

    def _answer(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                name = sock.recv(16).decode()
                if name not in self.fails:
                    self.restart(name)
                    sock.sendall(b"done")


class Clients:
    """GET and POST on kept connections, and POST on new ones. `together()` is (answered, reasons of failures)."""

    def __init__(self, address, pause=0.005):
        body = {"method": "POST", "body": b"x" * 1000, "target": "/?size=10"}
        self.loads = [Load(address, clients=2, pause=pause), Load(address, clients=2, pause=pause, **body),
                      Load(address, clients=2, pause=pause, keep_alive=False, **body)]

    def __enter__(self):
        for load in self.loads:
            load.start()
        return self

    def __exit__(self, *_):
        for load in self.loads:
            load.stop()

    def wait_for_more(self, count):
        for load in self.loads:
            load.wait_for_more(count)

    def together(self):
        return sum(load.answered for load in self.loads), [reason for load in self.loads for reason in load.reasons()]


def run_script(process, instances, *flags, backend="narwhal"):
    """The script, with the socket of this HAProxy."""
    command = [sys.executable, SCRIPT, "--socket", process.socket, *flags, backend, "--", sys.executable, "-c", ASK, instances.path,
               "{}"]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=scaled(100))
