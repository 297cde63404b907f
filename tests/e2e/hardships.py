"""Means to make life hard for a running server: few descriptors, another time."""
import resource
import struct

import proc
from server import BUILD


def leave_descriptors(pid, count):
    """So many more can be opened; returns what restores the limit."""
    former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    free = next(number for number in range(1 << 20) if number not in proc.descriptors(pid))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + count, former[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, former)


class WallClock:
    """The system clock of one server and its processes (tests/support/clock.c). `environment` is for the server."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.set(0)
        self.environment = {"LD_PRELOAD": str(BUILD / "tests" / "clock.so"), "NARWHAL_TEST_CLOCK": str(self.path)}

    def set(self, seconds):
        """So many seconds from the machine's."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))
