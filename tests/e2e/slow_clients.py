"""Thousands of clients that are as slow as the limits allow, driven by one thread that costs almost nothing."""
import select
import socket
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

from clock import scaled
from wire import request_bytes

LARGE = 400_000  # a response that does not fit into the socket buffers of a reader as below

# What each kind sends at first. Then, every few seconds, heads and bodies continue by one byte, and readers read a little.
OPENINGS = {
    "head": b"GET /?size=1 HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
    "body": request_bytes("/", method="POST", headers=[("Content-Length", "100000")]),
    "reader": request_bytes(f"/?size={LARGE}"),
}


@dataclass(eq=False)
class Client:
    kind: str
    sock: socket.socket
    began: float


class Slow:
    """`count` clients of each kind. Each acts every `pause` seconds, until the server ends it or stop() does."""

    def __init__(self, address, count, kinds=tuple(OPENINGS), pause=5.0):
        self.pause = pause
        self.epoll = select.epoll()
        self.clients = {}     # by descriptor
        self.turns = deque()  # (when, client), soonest first, because all pauses are equal
        self.ended_after = {kind: [] for kind in kinds}  # seconds
        self.stopping = threading.Event()
        for number in range(count * len(kinds)):
            self._connect(address, kinds[number % len(kinds)])
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for client in self.clients.values():
            client.sock.close()
        self.epoll.close()

    @property
    def alive(self):
        return Counter(client.kind for client in list(self.clients.values()))

    def _connect(self, address, kind):
        sock = socket.socket()
        sock.settimeout(scaled(30))
        if kind == "reader":  # over loopback the server's kernel accepts megabytes at once; over Ethernet it would not
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        sock.connect(address)
        client = Client(kind, sock, time.monotonic())
        client.sock.sendall(OPENINGS[kind])
        client.sock.setblocking(False)
        self.clients[client.sock.fileno()] = client
        # A reader only waits for the end; the others expect no data before it.
        self.epoll.register(client.sock, select.EPOLLRDHUP if kind == "reader" else select.EPOLLIN)
        self.turns.append((client.began + self.pause, client))

    def _run(self):
        while not self.stopping.is_set() and self.clients:
            for number, _ in self.epoll.poll(0.1):
                self._end(self.clients[number])
            now = time.monotonic()
            while self.turns and self.turns[0][0] <= now:
                _, client = self.turns.popleft()
                if client.sock.fileno() >= 0 and self._act(client):
                    self.turns.append((now + self.pause, client))

    def _act(self, client):
        try:
            if client.kind == "reader":
                client.sock.recv(256)
            else:
                client.sock.send(b"a")
            return True
        except BlockingIOError:
            return True
        except OSError:
            self._end(client)
            return False

    def _end(self, client):
        self.ended_after[client.kind].append(time.monotonic() - client.began)
        self.epoll.unregister(client.sock)
        del self.clients[client.sock.fileno()]
        client.sock.close()
