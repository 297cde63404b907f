"""The real server for a test: start it, wait for its log lines, signal it, inspect its processes, end it."""
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import log_lines
import proc
import wire
from clock import eventually, scaled
from load import Load

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("NARWHAL_BUILD", ROOT / "build" / "release")).resolve()
BINARY = BUILD / "narwhal"
# The plugin for applications of the Python that runs the tests.
WSGI = BUILD / "plugins" / f"wsgi-cp{sys.version_info[0]}{sys.version_info[1]}.so"


def is_sanitized():
    """True if built with a sanitizer: the behaviour is the same, but the memory use is not the server's."""
    data = BINARY.read_bytes() if BINARY.exists() else b""
    return b"__asan_init" in data or b"__tsan_init" in data


SANITIZED = is_sanitized()
THREAD_SANITIZED = SANITIZED and b"__tsan_init" in BINARY.read_bytes()


def example(name):
    return BUILD / "examples" / f"{name}.so"


def test_plugin(name):
    return BUILD / "tests" / "plugins" / f"{name}.so"


test_plugin.__test__ = False  # not a test, in spite of its name


class StartFailed(AssertionError):
    pass


class Server:
    """One master and its processes. Made by the `serve` fixture, which also ends it and checks what is left."""

    def __init__(self, folder, args, env=None, config=None, pass_fds=(), preexec=None, binary=None):
        self.folder = Path(folder)
        self.log_path = self.folder / "stderr.log"
        self.stdout_path = self.folder / "stdout.log"
        self.config_path = None
        if config is not None:
            self.config_path = self.folder / "narwhal.yaml"
            self.config_path.write_text(config)
            args = ["-c", str(self.config_path), *args]
        self.args = [str(arg) for arg in args]
        self.env = {**clean_environment(), **(env or {})}
        self.pass_fds, self.preexec, self.binary = pass_fds, preexec, Path(binary or BINARY)
        self.process = None
        self.address = None    # of the first bind
        self.addresses = []
        self.expected_exit = (0,)
        self.seen_pids = set()

    # ---- life ----
    def start(self, wait=True, timeout=20.0):
        """Starts it; with `wait` until its first generation is ready, which the log says at level info."""
        with open(self.log_path, "ab") as stderr, open(self.stdout_path, "ab") as stdout:
            self.process = subprocess.Popen(
                [str(self.binary), *self.args], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=self.env,
                cwd=self.folder, pass_fds=self.pass_fds, start_new_session=True, preexec_fn=self.preexec)
        if wait:
            self._wait_ready(timeout)
        return self

    def _wait_ready(self, timeout):
        def ready_or_gone():
            return re.search(log_lines.READY, self.log()) or self.process.poll() is not None
        eventually(f"the line that it is ready in {self.log()!r}", ready_or_gone, timeout)
        match = re.search(log_lines.LISTENING, self.log())
        if not match or self.process.poll() is not None:
            self.expected_exit = (self.process.returncode,)  # reported here, once
            raise StartFailed(f"exit {self.process.returncode} before it was ready:\n{self.log()}")
        assert int(match[2]) == self.pid
        self.addresses = [parse_address(text) for text in re.split(r",\s*", match[1])]
        self.address = self.addresses[0]

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return self.address[1]

    def send(self, *numbers):
        for number in numbers:
            os.kill(self.pid, number)

    def wait_exit(self, timeout=20.0):
        """The master's exit code, which the fixture then takes as expected; negative for a signal."""
        try:
            code = self.process.wait(scaled(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"master still runs after {scaled(timeout):g} s\n{self.tail()}") from None
        self.expected_exit = (code,)
        return code

    def stop(self, number=signal.SIGTERM, timeout=20.0):
        if self.process.poll() is None:
            self.send(number)
        return self.wait_exit(timeout)

    def kill_everything(self):
        """By pid: the master's session, which only its own descendants belong to."""
        for pid in proc.session_members(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)

    # ---- log ----
    def log(self):
        return log_lines.ROOT.sub("", self.whole_log())

    def whole_log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stdout(self):
        return self.stdout_path.read_text(errors="replace") if self.stdout_path.exists() else ""

    def tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def mark(self):
        """The current end of the log, to search after it later."""
        return len(self.log())

    def wait_for(self, pattern, timeout=10.0, after=0, count=1):
        """The `count`-th match of a regular expression in the log, from `after` (a mark) on."""
        end = time.monotonic() + scaled(timeout)
        while True:
            matches = list(re.finditer(pattern, self.log()[after:], re.MULTILINE))
            if len(matches) >= count:
                return matches[count - 1]
            if time.monotonic() > end:
                raise AssertionError(
                    f"not in the log within {scaled(timeout):g} s: {pattern!r} x {count}\n{self.tail()}")
            time.sleep(0.02)

    def lines(self, after=0):
        """[(time, pid, level, text)] of the lines that have the log's format."""
        return [match.groups() for line in self.log()[after:].splitlines() if (match := log_lines.LINE.fullmatch(line))]

    # ---- processes ----
    def processes(self):
        """{pid: title} of every process in the master's session except the master."""
        found = {pid: proc.title(pid) for pid in proc.session_members(self.pid) if pid != self.pid}
        self.seen_pids |= set(found)
        return found

    def workers(self, generation=None):
        """{slot: pid} of the workers alive, by their titles, of one generation or all ({(generation, slot): pid} then
        is not needed: a slot number is unique among live workers)."""
        found = {}
        for pid, title in self.processes().items():
            match = re.match(r"narwhal: worker (\d+) \[(.*)\] gen (\d+)", title)
            if match and generation in (None, int(match[3])):
                found[(int(match[3]), int(match[1]))] = pid
        return found

    def worker_pids(self):
        return sorted(self.workers().values())

    def generations(self):
        return sorted({generation for generation, _ in self.workers()})

    def template(self):
        for pid, title in self.processes().items():
            if title.startswith("narwhal: template"):
                return pid
        return None

    def wait_workers(self, count, timeout=20.0, generation=None, without=()):
        """Waits until exactly `count` workers live, none of them among the pids `without`; returns their pids."""
        def right():
            pids = set(self.workers(generation).values())
            return (pids,) if len(pids) == count and not pids & set(without) else None  # an empty set is right, too
        return sorted(eventually(f"{count} workers; processes {self.processes()}", right, timeout)[0])

    # ---- requests ----
    def connect(self, timeout=15.0, **named):
        return wire.Wire(self.address, timeout, **named)

    def wait_for_gone(self, wire, timeout=20.0):
        """Waits until the server's end of a connection is gone from the kernel."""
        remote = wire.sock.getsockname()[1]
        eventually("the server's end of the connection gone",
                   lambda: not any(row[:2] == (self.port, remote) for row in proc.tcp_table()), timeout)

    def get(self, target="/", **parts):
        return wire.fetch(self.address, target, **parts)

    def wait_serving(self, target="/", timeout=20.0):
        """Waits until one request is answered 200."""
        response = self.get(target, timeout=timeout)
        assert response.status == 200, response
        return response

    def load(self, **named):
        return Load(self.address, **named)

    def reload(self, timeout=20.0):
        """Sends HUP and waits until the workers of a newer generation are the only ones."""
        before = self.generations()
        self.send(signal.SIGHUP)
        return eventually(f"only workers newer than {before}", lambda: self._newer_than(before), timeout)

    def _newer_than(self, before):
        now = self.generations()
        return now if now and len(now) == 1 and (not before or now[0] > max(before)) else None


def clean_environment():
    """The environment without any variable that the server would use as a setting."""
    dropped = ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID")
    kept = {key: value for key, value in os.environ.items() if key not in dropped and not key.startswith("NARWHAL_")}
    kept["TZ"] = "UTC"
    return kept


def parse_address(text):
    """"http://127.0.0.1:8000" to ("127.0.0.1", 8000), "unix:/run/x.sock" to its path."""
    text = re.sub(r"^\w+://", "", text) if not text.startswith("unix:") else text
    if text.startswith("unix:"):
        return re.sub(r"^unix:(//)?", "", text)
    host, port = text.rsplit(":", 1)
    host = host.strip("[]")
    return ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port))


def run(*args, env=None, cwd=None, timeout=30.0, input=None, binary=None):
    """Runs the binary until it exits: for --version, --check-config, failing starts."""
    done = subprocess.run([str(binary or BINARY), *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", env={**clean_environment(), **(env or {})}, cwd=cwd,
                          timeout=scaled(timeout))
    done.whole_stderr = done.stderr
    done.stderr = log_lines.ROOT.sub("", done.stderr)
    return done


def port_is_free(address):
    if isinstance(address, str):
        return True
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError:
            return False
    return True


def raise_descriptor_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= count
