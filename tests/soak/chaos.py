"""What the trials of chaos share: a server with a control socket under steady load, a stand-in for a service manager, and the
table of what each trial has cost."""
import contextlib
import os
import re
import signal
import threading
import time
from dataclasses import dataclass

import proc
from admin_client import Admin
from clock import eventually
from load import Load
from server import Server

IN_HAND = "what the worker had in hand, and idle connections that it kept"
CLIENTS = 6  # half of them keep their connections: one request of each may be in the hands of one worker


@dataclass
class Row:
    scenario: str
    answered: int
    failed: int
    bound: int
    why: str
    log: str = "MISSING"
    status: str = "MISSING"


ROWS = []


def table():
    lines = ["| scenario | answered | failed | may fail | in the log | in the status |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        bound = f"{row.bound}: {row.why}" if row.bound else "0"
        cells = (row.scenario, row.answered, row.failed, bound, row.log, row.status)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


class Trial:
    """Load on a server while something goes wrong. Requests are answered until the end, at most `bound` fail, and the log and
    the status show what has happened: a trial calls log() and status()."""

    def __init__(self, scenario, server, bound=0, why="", target="/?size=100", **load):
        self.server, self.row = server, Row(scenario, 0, 0, bound, why)
        self.others = 0  # failed requests of other clients
        self.loads = [Load(server.address, CLIENTS // 2, keep_alive=kept, target=target, **load) for kept in (True, False)]

    def __enter__(self):
        self.mark = self.server.mark()
        for load in self.loads:
            load.start()
        self.goes_on(20)
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.goes_on(100)
        finally:
            for load in self.loads:
                load.stop()
            self.row.answered = sum(load.answered for load in self.loads)
            self.row.failed = self.failed()
            ROWS.append(self.row)
        if kind is None:
            assert self.row.failed <= self.row.bound, self.reasons()
            assert "MISSING" not in (self.row.log, self.row.status), self.row

    def reasons(self):
        return [reason for load in self.loads for reason in load.reasons()][:20]

    def goes_on(self, count=50, timeout=30):
        """So many more answers for each kind of client."""
        goals = [load.answered + count for load in self.loads]
        eventually(f"{count} more answers; failures: {self.reasons()}",
                   lambda: all(load.answered >= goal for load, goal in zip(self.loads, goals)), timeout)

    def lost(self, requests):
        """Requests that the trial itself has sent."""
        self.others += requests

    def failed(self):
        return self.others + sum(len(load.failures) for load in self.loads)

    def log(self, pattern, timeout=20):
        """The line, which appears in the table without its time and pids."""
        match = self.server.wait_for(pattern, timeout, after=self.mark)
        text = self.server.log()[self.mark:]
        line = text[text.rfind("\n", 0, match.start()) + 1:].split("\n", 1)[0]
        line = re.sub(r"pid:\d+", "pid:N", re.sub(r"^\[[^]]*\] \[\d+\] ", "", line))
        self.row.log = line if len(line) < 200 else line[:200] + "..."
        return match

    def status(self, name, condition, timeout=20):
        """Until the status has it."""
        seen = eventually(name, lambda: (found := self._status()) and condition(found) and (found,), timeout, pause=0.1)
        self.row.status = name
        return seen[0]

    def _status(self):
        try:
            return self.server.admin.status()
        except (OSError, AssertionError):
            return None  # it is being started

    def problem(self, pattern, timeout=20):
        """The status has the line of the log."""
        return self.status("problems: the same line", lambda status: has_problem(status, pattern), timeout)


def has_problem(status, pattern):
    return any(re.search(pattern, problem["text"]) for problem in status["problems"])


def worker_pids(status):
    return [worker["pid"] for generation in status["generations"] for worker in generation["workers"]]


def admin_pid(server):
    return next((pid for pid, title in server.processes().items() if title.startswith("narwhal: admin")), None)


def log_pid(server):
    return next((pid for pid, title in server.processes().items() if title.startswith("narwhal: log")), None)


def with_admin(server, path):
    server.control, server.admin = path, Admin(path)
    return server


class Kept(Server):
    """As a service with `Restart=always` and a socket unit: whoever holds the socket starts the server again when it ends."""

    def __init__(self, folder, listener, *args, **named):
        super().__init__(folder, ["-b", f"fd://{listener.fileno()}", *args], pass_fds=[listener.fileno()], **named)
        self.address = listener.getsockname()
        self.ended, self.masters, self._stopping = [], [], threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def begin(self):
        self.start(wait=False)
        self.masters.append(self.pid)
        self._thread.start()
        return self

    def _keep(self):
        while True:
            self.ended.append(self.process.wait())
            if self._stopping.wait(0.1):
                return
            self.start(wait=False)
            self.masters.append(self.pid)

    def end(self):
        self._stopping.set()
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGTERM)
        self._thread.join(30)
        try:
            for master in self.masters:
                eventually(f"nothing left of {master}", lambda: not proc.session_members(master), 10)
        finally:
            for master in self.masters:
                for pid in proc.session_members(master):
                    os.kill(pid, signal.SIGKILL)

    def ready_again(self, count):
        """So many generations have become ready, of all masters."""
        self.wait_for(r"Generation \d+ is ready", 30, count=count)


def wait_for_process(server, begin, timeout=20):
    """The pid of a process by its title, as soon as there is one."""
    return eventually(f"a process {begin!r}", lambda: next(
        (pid for pid, title in server.processes().items() if title.startswith(begin)), None), timeout, pause=0.005)


def measured(pid):
    """What may not grow."""
    return {"descriptors": len(proc.descriptors(pid)), "mappings": len(proc.maps(pid)), "threads": proc.thread_count(pid),
            "KiB": proc.rollup(pid, "Rss") // 1024, "own KiB": proc.rollup(pid, "Anonymous") // 1024}


def zombies(session):
    """Processes of a session that have ended and that nobody has reaped, {pid: parent}."""
    found = {}
    for name in os.listdir("/proc"):
        fields = proc.stat_fields(int(name)) if name.isdigit() else None
        if fields and int(fields[3]) == session and fields[0] == b"Z":
            found[int(name)] = int(fields[1])
    return found


def lasting_zombies(session):
    """Those that are still there after a moment."""
    first = zombies(session)
    time.sleep(0.5)
    return {pid: parent for pid, parent in zombies(session).items() if pid in first}
