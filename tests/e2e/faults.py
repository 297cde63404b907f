"""Makes allocations and system calls of one process fail, by tests/support/faults.c, and says what clients then saw."""
import errno
import mmap
import struct

from server import BUILD
from wire import Silence, Truncated, Wire, WireError

LIBRARY = BUILD / "tests" / "faults.so"
LAYOUT = struct.Struct("iIqqqqqqq")  # struct faults
ALLOC, SEND, READ, OPEN, WRITE, EPOLL_ADD, ACCEPT, SENDFILE, MAP, PREAD, DUPLICATE = (1 << bit for bit in range(11))


class Faults:
    """`environment` is for the server; pid is set once its worker is there."""

    def __init__(self, folder):
        path = folder / "faults"
        path.write_bytes(bytes(LAYOUT.size))
        self.environment = {"LD_PRELOAD": str(LIBRARY), "NARWHAL_FAULTS": str(path)}
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), LAYOUT.size)

    def _read(self):
        return LAYOUT.unpack(self.page[:])

    def watch(self, pid):
        """Counts what this process does; nothing fails yet."""
        LAYOUT.pack_into(self.page, 0, pid, 0, 0, 0, 0, 0, 0, 0, 0)

    def arm(self, kinds, first, count=1, least=0, error=errno.ENOMEM):
        """The call number `first` of these kinds fails, and as many in a row as `count` says."""
        pid, live = self._read()[0], self.live
        LAYOUT.pack_into(self.page, 0, pid, 0, 0, 0, 0, 0, 0, 0, live)
        LAYOUT.pack_into(self.page, 0, pid, kinds, first, count, least, error, 0, 0, live)

    def disarm(self):
        """How many have failed."""
        failed = self._read()[7]
        struct.pack_into("q", self.page, 8, 0)
        return failed

    @property
    def live(self):
        return self._read()[8]


def outcome(conversation):
    """What came of conversation(): its result, or "cut": the connection ended before it was whole."""
    try:
        return conversation()
    except Truncated:
        return "cut"
    except (ConnectionError, BrokenPipeError):
        return "cut"
