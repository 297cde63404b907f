#!/usr/bin/python3
"""CPU that a WSGI request costs beside Gunicorn and uWSGI: long bodies both ways, and many small requests.

    bench/wsgi_bodies.py [ROUNDS]      NARWHAL_BUILD: the release build, build/release without it

Rounds are interleaved, each with fresh servers of one worker, on one processor, with the client on another; a figure is
utime + stime of the server's whole process tree for each request, the median of the rounds. A server that is not installed
is left out.
"""
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ.get("NARWHAL_BUILD", Path(__file__).resolve().parents[1] / "build" / "release")).resolve()
TICK = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
PROCESSORS = sorted(os.sched_getaffinity(0))

APP = """
PART = b"x" * 65536
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (PART for _ in range(64))
    if path == "/lines":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return (b"%d,one line of a long list,%d\\n" % (number, number) for number in range(10_000))
    if path == "/upload":
        source, total = environ["wsgi.input"], 0
        while part := source.read(65536):
            total += len(part)
        body = b"%d" % total
    else:
        body = b"Hello, world!"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

SERVERS = {
    "narwhal": [BUILD / "narwhal", "--log-level", "warning", "-b", "127.0.0.1:{port}", "app:app"],
    "narwhal unbuffered": [BUILD / "narwhal", "--log-level", "warning", "--no-request-buffering", "-b", "127.0.0.1:{port}",
                           "app:app"],
    "gunicorn sync": ["gunicorn", "--log-level", "warning", "-b", "127.0.0.1:{port}", "app:app"],
    "gunicorn gthread": ["gunicorn", "--log-level", "warning", "-k", "gthread", "--threads", "4", "--keep-alive", "75",
                         "-b", "127.0.0.1:{port}", "app:app"],
    "uwsgi": ["uwsgi", "--plugin", "python3", "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "1",
              "--disable-logging", "--die-on-term", "--need-app", "--module", "app:app"],
}
# As narwhal does, and nginx: a body is whole, and in a file when it is large, before the application sees it.
SERVERS["uwsgi buffering"] = [*SERVERS["uwsgi"], "--post-buffering", "65536"]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def cpu_seconds(root):
    """utime + stime of a process and what descends from it."""
    parents, times = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry)], times[int(entry)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK

    def is_ours(pid):
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root
    return sum(spent for pid, spent in times.items() if is_ours(pid))


class Client:
    """Keeps its connection where the server does."""

    def __init__(self, port):
        self.port, self.sock = port, None

    def ask(self, head, body=b"", parts=1):
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.sock.sendall(head)
        for _ in range(parts if body else 0):
            self.sock.sendall(body)
        size = self._read_response()
        return size

    def _read_response(self):
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, rest = bytes(data).partition(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] == b"200", head
        lower = head.lower()
        closes = b"connection: close" in lower or (b"keep-alive" not in lower and lower.startswith(b"http/1.0"))
        size = len(rest)
        if b"content-length: " in lower:
            wanted = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
            while size < wanted:
                size += len(self._more())
        elif b"chunked" in lower:
            end = rest[-5:]
            while end != b"0\r\n\r\n":
                more = self._more()
                size += len(more)
                end = (end + more)[-5:]
        else:
            closes = True
            while more := self.sock.recv(MIB):
                size += len(more)
        # uWSGI says nothing of it and closes all the same.
        if closes or self.sock_ended():
            self.sock.close()
            self.sock = None
        return size

    def sock_ended(self):
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        finally:
            self.sock.settimeout(60)

    def _more(self):
        more = self.sock.recv(MIB)
        if not more:
            raise ConnectionError("the server ended the connection in the middle of a response")
        return more


HELLO = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: bench\r\n\r\n"
STREAM_ONCE = b"GET /stream HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
LINES = b"GET /lines HTTP/1.1\r\nHost: bench\r\n\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % (64 * MIB)
PART = b"u" * MIB

TASKS = {
    "10,000 small requests": (10_000, lambda client: client.ask(HELLO)),
    "4 MiB streamed": (300, lambda client: client.ask(STREAM)),
    "the same, a connection each": (300, lambda client: client.ask(STREAM_ONCE)),
    "10,000 lines streamed": (30, lambda client: client.ask(LINES)),
    "64 MiB upload": (4, lambda client: client.ask(UPLOAD, PART, 64)),
}


def retry(client, ask):
    """A connection that the server has closed after its last answer is not a failure."""
    try:
        ask(client)
    except (ConnectionError, BrokenPipeError):
        client.sock = None
        ask(client)


def measure(command, folder, count, ask):
    port = free_port()
    with open(folder / "server.log", "ab") as log:
        server = subprocess.Popen([str(word).format(port=port) for word in command], cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, env={**os.environ, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
                                  preexec_fn=lambda: os.sched_setaffinity(0, {PROCESSORS[0]}))
    try:
        client = Client(port)
        deadline = time.monotonic() + 20
        while True:
            try:
                client.ask(HELLO)
                break
            except OSError:
                client.sock = None
                if time.monotonic() > deadline or server.poll() is not None:
                    raise RuntimeError(f"{command[0]} does not serve:\n{(folder / 'server.log').read_text()}") from None
                time.sleep(0.05)
        retry(client, ask)  # once unmeasured
        before = cpu_seconds(server.pid)
        for _ in range(count):
            retry(client, ask)
        return (cpu_seconds(server.pid) - before) / count
    finally:
        server.terminate()
        server.wait(20)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    os.sched_setaffinity(0, {PROCESSORS[-1]})
    servers = {name: command for name, command in SERVERS.items() if shutil.which(str(command[0]))}
    print("| CPU ms a request |", " | ".join(servers), "|")
    print("|---|" + "--:|" * len(servers))
    for task, (count, ask) in TASKS.items():
        found = {name: [] for name in servers}
        for _ in range(rounds):
            for name, command in servers.items():
                with tempfile.TemporaryDirectory() as folder:
                    (Path(folder) / "app.py").write_text(APP)
                    found[name].append(measure(command, Path(folder), count, ask))
        print(f"| {task} |", " | ".join(f"{statistics.median(times) * 1e3:.3f}" for times in found.values()), "|", flush=True)


if __name__ == "__main__":
    main()
