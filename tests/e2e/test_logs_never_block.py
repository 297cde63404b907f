"""Logs whose reader has stopped, or whose disk is full: requests and the master go on, and what is lost is counted."""
import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

import proc
from clock import eventually, scaled
from load import Load
from server import BINARY, WSGI, clean_environment, example
from wire import WireError, fetch

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_wsgi = pytest.mark.skipif(not WSGI.exists(), reason="the WSGI plugin was not built: it needs python3-dev")
NOBODY = 65534
BOUND = 1.0  # seconds that a request may take; a line may wait 100 ms
REPORT = re.compile(r"\[WARNING\] (\d+) (?:lines? of the (error|access) log|log (lines) of workers that have ended) "
                    r"w\w+ dropped: (.*)")
APP = '''
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    environ["wsgi.errors"].write("a line " + "x" * 100 + "\\n")
    return [b"hello"]
'''


class Watched:
    """A server with standard streams of the test's choice."""

    def __init__(self, folder, *args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=None, user=None):
        self.path = folder / "s.sock"
        self.process = subprocess.Popen(
            [BINARY, "-b", f"unix:{self.path}", *map(str, args)], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            env={**clean_environment(), **(env or {})}, cwd=folder, start_new_session=True, user=user)
        self.pid = self.process.pid

    def __enter__(self):
        eventually("it serves", self.serves, 20)
        return self

    def __exit__(self, *_):
        for pid in proc.session_members(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def serves(self):
        assert self.process.poll() is None
        try:
            return fetch(str(self.path), timeout=2).status == 200
        except (OSError, WireError):
            return False

    def get(self, target):
        return fetch(str(self.path), target)

    def workers(self):
        return {pid for pid in proc.session_members(self.pid) if "worker" in proc.title(pid)}

    def goes_on(self, count=2000, target="/", pause=0):
        """Under load, through a reload."""
        with Load(str(self.path), clients=4, target=target, pause=pause) as load:
            load.wait_for_more(count, 60)
            before = self.workers()
            self.process.send_signal(signal.SIGHUP)
            eventually("reloaded", lambda: self.workers() and not self.workers() & before, 20)
            load.wait_for_more(200, 60)
        load.assert_clean(count)
        assert max(load.latencies) < scaled(BOUND), f"the slowest took {max(load.latencies):.2f} s"
        return load

    def stop(self, within=5):
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(scaled(20)) == 0
        assert time.monotonic() - begin < scaled(within)


class Reader:
    """Reads a descriptor, from the call that starts it."""

    def __init__(self, descriptor):
        self.descriptor, self.bytes = descriptor, b""

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):  # of a terminal that has no other end
            while piece := os.read(self.descriptor, 65536):
                self.bytes += piece

    def text(self):
        return self.bytes.decode(errors="replace")

    def reported(self):
        return sum(int(match[0]) for match in REPORT.findall(self.text()))


def is_whole(line):
    return re.fullmatch(r"\[\d{4}-.*\] \[\d+\] \[\w+\] .*|a line x{100}|\S* - - \[.*\] \"GET .* 200 \d+ .*", line)


def unread(tmp_path, kind):
    """The two ends of what a log goes to, and the user to run as, or None."""
    if kind == "socket":
        return (*(end.detach() for end in socket.socketpair()), None)
    if kind == "own pipe":
        return (*os.pipe(), None)
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chmod(tmp_path, 0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    return (*os.pipe(), NOBODY)


@needs_wsgi
@pytest.mark.parametrize("kind", ["own pipe", "another user's pipe", "socket"])
def test_an_error_log_that_nobody_reads_delays_nobody(tmp_path, kind):
    """narwhal 2>&1 | tee, stopped; a container's pipe; the journal's socket."""
    (tmp_path / "noisy.py").write_text(APP)
    ours, theirs, user = unread(tmp_path, kind)
    with Watched(tmp_path, "-w", 2, "--threads", 2, "noisy:app", stderr=theirs, user=user) as server:
        os.close(theirs)
        load = server.goes_on()
        reader = Reader(ours)
        reader.start()
        eventually("all lines, or a report of them",
                   lambda: reader.text().count("\na line xxx") + reader.reported() >= load.answered, 15)
        server.stop()
        reader.thread.join(5)
        assert [line for line in reader.text().splitlines() if not is_whole(line)] == []
        assert "Shutting down: Master" in reader.text()
        assert {match[3] for match in REPORT.findall(reader.text())} >= {"its reader takes none"}


@pytest.mark.parametrize("kind", ["own pipe", "another user's pipe", "socket"])
def test_an_access_log_that_nobody_reads_delays_nobody(tmp_path, kind):
    ours, theirs, user = unread(tmp_path, kind)
    with Watched(tmp_path, "-w", 2, "--access-logfile", "-", example("echo"), stdout=theirs,
                 stderr=theirs, user=user) as server:
        os.close(theirs)
        load = server.goes_on(target="/" + "x" * 3000)
        reader = Reader(ours)
        reader.start()

        def accounted():
            return reader.text().count('"GET /xxx') + reader.reported()
        eventually("all lines, or a report of them", lambda: accounted() >= load.answered, 15)
        server.stop()
        reader.thread.join(5)
        assert [line[:200] for line in reader.text().splitlines() if not is_whole(line)] == []
        assert accounted() < load.answered + 20, "lines of the error log were dropped as well, but not many"


def test_lines_that_a_reader_is_late_for_are_kept(tmp_path):
    ours, theirs = os.pipe()
    with Watched(tmp_path, "--access-logfile", "-", example("echo"), stdout=theirs) as server:
        os.close(theirs)
        with Load(str(server.path), clients=4, target="/late", pause=0) as load:
            load.wait_for_more(3000)
        reader = Reader(ours)
        reader.start()
        eventually("all lines", lambda: reader.text().count("GET /late") == load.answered)
        server.stop()


def test_a_terminal_that_is_stopped_delays_nobody(tmp_path):
    """Control-S."""
    ours, theirs = os.openpty()
    with Watched(tmp_path, "-w", 2, "--access-logfile", "-", example("echo"), stdout=theirs, stderr=theirs) as server:
        reader = Reader(ours)
        reader.start()
        termios.tcflow(theirs, termios.TCOOFF)
        server.goes_on(target="/" + "x" * 3000)
        termios.tcflow(theirs, termios.TCOON)
        eventually("a line of a request", lambda: server.serves() and '"GET / HTTP/1.1" 200' in reader.text(), 15)
        server.stop()
        os.close(theirs)


def test_a_fifo_needs_no_reader_and_its_reader_may_come_and_go(tmp_path):
    errors, requests = tmp_path / "errors", tmp_path / "requests"
    os.mkfifo(errors)
    os.mkfifo(requests)
    with Watched(tmp_path, "-w", 2, "--error-logfile", errors, "--access-logfile", requests, example("echo")) as server:
        server.goes_on(target="/" + "x" * 3000)
        for _ in range(2):
            readers = [Reader(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) for path in (errors, requests)]
            for reader in readers:
                os.set_blocking(reader.descriptor, True)
                reader.start()
            eventually("a line", lambda: server.serves() and '"GET / HTTP/1.1" 200' in readers[1].text(), 15)
        server.process.send_signal(signal.SIGUSR1)
        assert server.serves()
        server.stop()


def test_prints_go_to_a_fifo_that_waits_and_the_log_does_not(tmp_path):
    """capture_output: a program's own prints must not fail because the log does not wait."""
    (tmp_path / "prints.py").write_text(APP.replace('environ["wsgi.errors"].write', "print"))
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    with Watched(tmp_path, "--error-logfile", fifo, "--capture-output", "prints:app") as server:
        worker, = server.workers()
        flags = {number: int(re.search(r"flags:\s+0(\d+)", open(f"/proc/{worker}/fdinfo/{number}").read())[1], 8)
                 for number in (1, 2)}
        assert not any(flag & os.O_NONBLOCK for flag in flags.values())
        assert os.path.realpath(f"/proc/{worker}/fd/1") == str(fifo)


@as_root
def test_a_full_disk_costs_lines_that_are_counted_and_none_is_torn(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        (tmp_path / "noisy.py").write_text(APP)
        errors, requests, ballast = disk / "errors", disk / "requests", disk / "ballast"
        with Watched(tmp_path, "-w", 2, "--error-logfile", errors, "--access-logfile", requests,
                     "noisy:app") as server:
            ballast.write_bytes(b"x" * 100_000)
            load = server.goes_on(3000, target="/" + "x" * 3000)
            ballast.unlink()

            def reported():
                assert server.serves()
                return {match[1] for match in REPORT.findall(errors.read_text())}
            eventually("the error log's report", lambda: "error" in reported(), 15, pause=0.5)
            torn = [line for line in errors.read_text().splitlines() if not is_whole(line)]
            assert len(torn) <= 2 and all(line.count("a line") + line.count("] [") <= 2 for line in torn)
            assert REPORT.search(errors.read_text())[4] == "No space left on device"
            assert load.answered > 3000
            server.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@needs_wsgi
def test_a_log_that_takes_nothing_for_ever_is_visible_on_the_error_log(tmp_path):
    errors = tmp_path / "errors"
    with Watched(tmp_path, "--error-logfile", errors, "--access-logfile", "/dev/full", example("echo")) as server:
        server.goes_on(3000, target="/" + "x" * 3000)
        eventually("a report", lambda: "access log were dropped: No space left on device" in errors.read_text())
        server.stop()


def test_the_end_waits_for_a_reader_only_for_a_moment(tmp_path):
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    with Watched(tmp_path, "--access-logfile", "-", example("echo"), stdout=theirs, stderr=theirs) as server:
        for _ in range(50):
            assert server.serves()
        server.stop(within=3)
    os.close(ours)
    os.close(theirs)
