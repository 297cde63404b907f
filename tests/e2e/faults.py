"""Makes allocations and system calls of one process fail (tests/support/faults.c), and checks what clients then receive."""
import errno
import mmap
import struct

import pytest

import proc
from server import BUILD, SANITIZED
from wire import Truncated, Wire, request_bytes

LIBRARY = BUILD / "tests" / "faults.so"
LAYOUT = struct.Struct("iIqqqqqqqq")  # struct faults
ALLOC, SEND, READ, OPEN, WRITE, EPOLL_ADD, ACCEPT, SENDFILE, MAP, PREAD, DUPLICATE = (1 << bit for bit in range(11))
ANY_SIZE = (0, 1 << 62)
FOR_EVER = 1 << 40


class Faults:
    """`environment` is for the server. Calls fail in one process: the one that watch() names."""

    def __init__(self, folder):
        if SANITIZED:
            pytest.skip("a sanitizer has its own malloc")
        path = folder / "faults"
        path.write_bytes(bytes(LAYOUT.size))
        # Python's own allocator asks for memory too rarely to be noticed.
        self.environment = {"LD_PRELOAD": str(LIBRARY), "NARWHAL_FAULTS": str(path), "PYTHONMALLOC": "malloc"}
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), LAYOUT.size)
        self.pid = 0

    def watch(self, pid):
        self.pid = pid
        LAYOUT.pack_into(self.page, 0, pid, *[0] * 9)

    def arm(self, kinds, first, count=1, sizes=ANY_SIZE, error=errno.ENOMEM):
        """The call number `first` of these kinds fails, and `count` in a row. Allocations count in a range of sizes."""
        self.disarm()
        LAYOUT.pack_into(self.page, 0, self.pid, kinds, 0, count, *sizes, error, 0, 0, self.live)
        struct.pack_into("q", self.page, 8, first)

    def disarm(self):
        """How many have failed."""
        struct.pack_into("q", self.page, 8, 0)
        return LAYOUT.unpack(self.page[:])[8]

    @property
    def live(self):
        """Blocks that the process has allocated and not freed since watch()."""
        return LAYOUT.unpack(self.page[:])[9]


def settle(server, slow, quick, rounds=100):
    """Makes everything that is only made once. libuv's table of descriptors grows with their number, and libuv aborts when it
    cannot; `slow` makes handlers change threads, and `quick` lets the server forget that."""
    crowd = [server.connect() for _ in range(80)]
    for wire in crowd:
        assert wire.ask(quick).status == 200
        wire.close()
    for target in [slow] * 4 + [quick] * rounds:
        assert server.get(target).status == 200


def asking(server, request, count=1, **connection):
    """A conversation on a new connection: [(status, body)] of its responses, "cut" if it ends before them."""
    method = request.split(b" ")[0].decode()

    def ask():
        try:
            with Wire(server.address, **connection) as wire:
                wire.send(request)
                return [(response.status, response.body) for response in (wire.response(method) for _ in range(count))]
        except (Truncated, ConnectionError):
            return "cut"
    return ask


def hold_exchange(server):
    """A connection with half a request. Its exchange is then not in the server's pool, so the next request gets a new one."""
    wire = server.connect()
    wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "1"), ("Expect", "100-continue")]))
    assert wire.response(interim=True).status == 100
    return wire


def sweep(server, faults, ask, kinds=ALLOC, most=80, fresh=False, **arming):
    """The first call of these kinds fails, then the second, and so on until none is left or `most` have. Each time the
    client gets its answer, another that says so, or none that looks whole; a line of the log says why; the process
    lives, and has an answer for the next. `fresh`: each time with an exchange that is used for the first time. What clients
    saw that was not the answer."""
    good = ask()
    assert good != "cut" and all(status == 200 for status, _ in good)
    seen, holding = [], []
    for number in range(1, most + 1):
        if fresh:
            holding.append(hold_exchange(server))
        mark = server.mark()
        faults.arm(kinds, number, **arming)
        got = ask()
        if faults.disarm() == 0:
            assert number > 1, "there was nothing to fail"
            break
        context = f"with number {number} of {kinds} failing {arming}: {str(got)[:200]}\n{server.log()[mark:][-3000:]}"
        if got != good:
            assert any(level in ("ERROR", "CRITICAL") for _, _, level, _ in server.lines(mark)), context
            assert got == "cut" or right_or_refused(got, good), context
            seen.append(got)
        assert proc.alive(faults.pid), context
        assert ask() == good, context
    for wire in holding:
        wire.close()
    return seen


def right_or_refused(got, good):
    return all(answer == right or answer[0] in (500, 503) for answer, right in zip(got, good))
