"""Memory, processes, disks, pipes, descriptors and the clock run out or go wrong under load, and files go away."""
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from chaos import CLIENTS, IN_HAND, Trial, admin_pid, worker_pids
from clock import eventually
from hardships import WallClock, leave_descriptors
from load import Background
from plugin_files import becomes, deploy, not_elf, other_architecture, truncated, versioned
from server import SANITIZED, WSGI, example
from wire import WireError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_python = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs the package python3-dev")
MIB = 1 << 20
BOMB_USER, LIMIT = 61234, 60  # nobody else's, because the limit counts all processes of a user
APP = """
import json, os, time
kept = []
def explode():
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)
    os._exit(0)
def app(environ, start_response):
    path, answer = environ["PATH_INFO"], {}
    if path == "/hog":
        mine = []
        while True:
            mine.append(bytearray(1000000))
    if path == "/keep":
        kept.append(b"x" * 300_000_000)
    if path == "/bomb":
        children = []
        try:
            while len(children) < 1000:
                pid = os.fork()
                if pid == 0:
                    explode()
                children.append(pid)
        except OSError as error:
            answer = {"pid": os.getpid(), "children": children, "error": str(error)}
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def folder():
    """One that any user may enter, with the application."""
    path = Path(tempfile.mkdtemp(prefix="narwhal-soak-"))
    path.chmod(0o755)
    (path / "app.py").write_text(APP)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def disk(tmp_path):
    """A disk of 16 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


# ---- memory ----
@needs_python
@pytest.mark.skipif(SANITIZED, reason="a sanitizer reserves more addresses than that")
def test_a_memory_hog_at_a_limit_of_address_space(start, folder):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (900 * MIB, 900 * MIB))
    server = start("app:app", "--chdir", folder, "-w", "2", "--threads", "1", preexec=limit)
    workers = server.wait_workers(2)
    with Trial("memory hog, RLIMIT_AS", server, 5, "the hog's own requests", target="/") as trial:
        for _ in range(5):
            assert server.get("/hog", timeout=60).status == 500
            trial.lost(1)
        trial.log("MemoryError")
        trial.status("totals.routes: by_status 5xx = 5", lambda status: status["totals"]["routes"][0]["by_status"][5] == 5)
    assert server.worker_pids() == workers


@needs_python
def test_a_memory_hog_at_max_worker_memory(start, folder):
    server = start("app:app", "--chdir", folder, "-w", "2", "--max-worker-memory", "200M")
    server.wait_workers(2)
    with Trial("memory hog, max_worker_memory", server, target="/") as trial:
        assert server.get("/keep", timeout=60).status == 200
        trial.log("Autorestarting worker")
        trial.status("restarts.recycled = 1", lambda status: status["restarts"]["recycled"] == 1)


# ---- processes ----
def defuse(server):
    """Ends every process that the server does not know; they are copies of a worker, and look like one."""
    def others():
        status = server.admin.status()
        known = {server.pid, admin_pid(server), *worker_pids(status), *(each["template_pid"] for each in status["generations"])}
        return set(server.processes()) - known

    def gone():
        for pid in others():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not others()
    eventually("the end of the bomb", gone, 30)


@needs_python
@as_root
def test_a_fork_bomb_that_the_limit_of_processes_ends(start, folder):
    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (LIMIT, LIMIT))
    server = start("app:app", "--chdir", folder, "-w", "2", "--user", BOMB_USER, "--group", BOMB_USER, preexec=limit)
    workers = server.wait_workers(2)
    with Trial("fork bomb, RLIMIT_NPROC, and a worker dies meanwhile", server, CLIENTS, IN_HAND, target="/") as trial:
        bomb = json.loads(server.get("/bomb", timeout=60).body)
        try:
            assert "Resource temporarily unavailable" in bomb["error"], bomb
            trial.goes_on(200)
            os.kill(next(pid for pid in workers if pid != bomb["pid"]), signal.SIGKILL)
            trial.log("did not boot: .*(Resource temporarily unavailable|could not be set up)")
            trial.status("restarts.boot, restarts.crash; problems", lambda status: status["restarts"]["boot"] >= 1)
            trial.goes_on(200)
        finally:
            defuse(server)
        server.wait_workers(2, timeout=60)


# ---- disks and pipes ----
@as_root
def test_a_full_disk_under_logs_and_bodies(start, disk):
    server = start(example("echo"), "-w", "2", "--access-logfile", disk / "access.log", "--error-logfile", disk / "error.log",
                   "--tmp-upload-dir", disk, wait=False)
    errors = disk / "error.log"
    eventually("it serves", lambda: errors.exists() and "Generation 1 is ready" in errors.read_text())
    server.log_path = errors  # from here on
    server._wait_ready(20)
    body = os.urandom(400_000)
    assert server.get("/", method="POST", body=body).status == 200
    with Trial("full disk under logs and bodies", server, 10, "uploads of more than body_buffer_size, which are answered 503",
               target="/" + "x" * 300) as trial:
        fill(disk / "ballast")
        trial.goes_on(500)
        for _ in range(10):
            with contextlib.suppress(WireError, OSError):  # the answer may be lost when the rest of the body is refused
                assert server.get("/", method="POST", body=body).status == 503
            trial.lost(1)
        assert server.get("/", method="POST", body=body[:60_000]).status == 200
        trial.status("totals.log_dropped > 0; by_status 5xx", lambda status: status["totals"]["log_dropped"] > 0 and
                     status["totals"]["routes"][0]["by_status"][5] > 0)
        (disk / "ballast").unlink()
        trial.log(r"lines of the (access|error) log were dropped: No space left on device")
        assert server.get("/", method="POST", body=body).status == 200


def fill(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_a_log_that_is_a_pipe_without_a_reader(start, tmp_path):
    fifo = tmp_path / "access"
    os.mkfifo(fifo)
    server = start(example("echo"), "-w", "2", "--access-logfile", fifo)
    server.wait_workers(2)
    with Trial("the access log is a pipe that nobody reads", server, target="/" + "x" * 2000, pause=0) as trial:
        trial.goes_on(2000, 60)
        trial.log(r"lines of the access log were dropped: its reader takes none")
        trial.status("totals.log_dropped > 0", lambda status: status["totals"]["log_dropped"] > 0)


def test_a_log_whose_reader_has_gone(start, tmp_path):
    fifo = tmp_path / "errors"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server = start(example("echo"), "-w", "2", "--error-logfile", fifo, wait=False)
    seen = []

    def text():
        with contextlib.suppress(BlockingIOError):
            while data := os.read(reader, 65536):
                seen.append(data.decode())
        return "".join(seen)
    server.whole_log = text
    server._wait_ready(20)
    with Trial("the error log is a pipe whose reader has gone, and comes back", server) as trial:
        os.close(reader)
        server.whole_log = lambda: "".join(seen)
        for _ in range(3):
            server.reload()
        trial.goes_on(500)
        eventually("no line is in the way", lambda: server.admin.status()["generation"] == 4)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        server.whole_log = text
        server.reload()
        trial.log(r"Generation 5 is ready")
        trial.status("transactions, as ever: the pipe holds the lines", lambda status: status["generation"] == 5)
    server.stop()
    text()
    server.whole_log = lambda: "".join(seen)
    os.close(reader)


# ---- descriptors ----
def test_one_worker_has_no_descriptors_left(start):
    server = start(example("echo"), "-w", "2")
    workers = server.wait_workers(2)
    with Trial("descriptors of one of two workers exhausted", server) as trial:
        restore = leave_descriptors(workers[0], 0)
        trial.log("accept: Too many open files: raise the limit of open files")
        trial.status("totals.not_accepted > 0", lambda status: status["totals"]["not_accepted"] > 0)
        trial.goes_on(1000)
        restore()
    assert server.worker_pids() == workers


def test_no_process_has_descriptors_left(start, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    server = start(app, "-w", "2")
    workers = server.wait_workers(2)
    with Trial("descriptors of master and template exhausted, a reload, and a worker dies", server, CLIENTS, IN_HAND) as trial:
        restore = [leave_descriptors(pid, 0) for pid in (server.pid, server.template())]
        deploy(app, "v2")
        server.send(signal.SIGHUP)
        trial.log(r"Reload failed at step '\w+': .*Too many open files.*; generation 1 continues to serve")
        trial.status("transactions: refused, with the reason; problems", lambda status: status["reloads"]["refused"] == 1)
        os.kill(workers[0], signal.SIGKILL)
        server.wait_for("new worker: .*Too many open files; trying again in", after=trial.mark)
        trial.goes_on(200)
        for each in restore:
            each()
        server.wait_workers(2, timeout=30)
        server.reload()
        eventually("the new code", lambda: server.get("/").text == "v2")


# ---- the clock ----
@pytest.mark.skipif(SANITIZED, reason="a sanitizer has its own functions for the clock")
def test_the_clock_is_set(start, tmp_path):
    clock = WallClock(tmp_path)
    server = start(example("echo"), "-w", "2", "--heartbeat-timeout", "2", "--timeout", "5", "--keep-alive", "5",
                   "--access-logfile", tmp_path / "access.log", env=clock.environment)
    workers = server.wait_workers(2)

    def off():
        return parsedate_to_datetime(server.get("/").header("Date")).timestamp() - time.time()
    with Trial("the clock is set back by a day, then forward by two", server) as trial:
        for seconds, line in ((-86400, "set back by 86400"), (86400, "set forward by 172800")):
            clock.set(seconds)
            eventually("the new time in Date", lambda: abs(off() - seconds) < 5)
            server.wait_for(rf"The system clock was {line}\.\d s: no time limit depends on it", after=trial.mark)
            trial.problem(f"The system clock was {line}")
            time.sleep(3)  # longer than heartbeat_timeout
            assert server.worker_pids() == workers
            server.reload()
            workers = server.worker_pids()
        trial.log(r"The system clock was set back by 86400\.\d s")
        assert server.admin.status()["uptime_seconds"] < 600


# ---- files that go away ----
def test_the_staging_folder_is_deleted(start, tmp_path):
    app, stage = versioned(tmp_path / "app.so", "v1"), tmp_path / "stage"
    stage.mkdir()
    server = start(app, "-w", "2", "--stage-dir", stage)
    victim = server.wait_workers(2)[0]
    with Trial("staging folder deleted, a worker and the template die, reloads", server, CLIENTS, IN_HAND) as trial:
        shutil.rmtree(stage)
        os.kill(victim, signal.SIGKILL)
        server.wait_workers(2, without=[victim])
        os.kill(server.template(), signal.SIGKILL)
        trial.log(r"Template of generation 1 ended: load \S+: its private copy \S+ has been deleted, .*: HUP makes a new one")
        trial.problem("Template of generation 1 ended: .*has been deleted")
        deploy(app, "v2")
        server.send(signal.SIGHUP)
        server.wait_for(r"Reload failed at step 'stage': .*No such file", after=trial.mark)  # `stage_dir` itself is gone
        stage.mkdir()
        server.reload(timeout=40)
        eventually("the new code", lambda: server.get("/").text == "v2")


def test_the_plugin_is_replaced_by_garbage_during_hups(start, tmp_path):
    app, dice = versioned(tmp_path / "app.so", "v0"), random.Random(5)
    server = start(app, "-w", "2", "--boot-timeout", "5", "--probation", "0")
    server.wait_workers(2)

    def noise(path):
        data = bytearray(path.read_bytes())
        data[64:] = dice.randbytes(len(data) - 64)  # only its first header is right
        path.write_bytes(data)

    def in_pieces(path):
        data = dice.randbytes(200_000)
        with open(path, "r+b", buffering=0) as file:
            for at in range(0, len(data), 4096):
                file.write(data[at:at + 4096])
                time.sleep(0.002)

    def gone(path):
        path.unlink()
    acts = [noise, in_pieces, gone, not_elf, other_architecture, truncated, lambda path: becomes(path, "constructor_crashes")]
    with Trial("plugin replaced by garbage during 40 HUPs, a good one after each", server) as trial:
        for number in range(1, 41):
            act = dice.choice(acts)
            writing = Background(act, app)
            if act is in_pieces:
                time.sleep(dice.random() * 0.1)
            before = server.admin.status()["last_transaction"]
            server.send(signal.SIGHUP)
            writing.result()
            trial.status("transactions: refused, with each reason", lambda status: status["last_transaction"] > before and
                         status["transactions"][-1]["outcome"] != "running")
            deploy(app, f"v{number}")
            server.send(signal.SIGHUP)
            eventually("the good one", lambda: server.get("/").text == f"v{number}", 30)
        trial.log(r"Reload failed at step '\w+': .*; generation \d+ continues to serve")
        assert server.admin.status()["reloads"]["refused"] >= 30
    seen = {body for load in trial.loads for body in load.bodies}
    assert seen <= {f"v{number}".encode() for number in range(41)}
