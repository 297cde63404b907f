"""The fixtures that whole-server tests share; tests/e2e and tests/soak take them by name."""
import contextlib
import signal
import sys

import pytest

import log_lines
import proc
from clock import eventually, scaled
from server import BINARY, Server, port_is_free


@pytest.fixture(scope="session", autouse=True)
def _binary_exists():
    if not BINARY.exists():
        pytest.exit(f"no server at {BINARY}: build it, or set NARWHAL_BUILD", 3)


@pytest.fixture(autouse=True)
def _bounded(request):
    """Limits every test, whatever the server sends: a test marked soak to an hour, one marked timeout (of
    pytest-timeout) to that, all others to two minutes."""
    def out_of_time(*_):
        raise TimeoutError("the test itself has run out of time")
    former = signal.signal(signal.SIGALRM, out_of_time)
    own = request.node.get_closest_marker("timeout")
    signal.alarm(3600 if request.node.get_closest_marker("soak") else int(scaled(own.args[0] if own else 120)))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture
def serve(tmp_path):
    """Starts servers: serve("app.so", "-w", 2). Listens on a port that the kernel chooses, unless the flags say otherwise.
    At the end of the test each one must leave, with every process and its port, and its log must be clean."""
    with servers_in(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory):
    """The same, for servers that all tests of a module share."""
    with servers_in(tmp_path_factory.mktemp("module")) as start:
        yield start


@contextlib.contextmanager
def servers_in(folder):
    started = []

    def start(*args, bind="127.0.0.1:0", wait=True, **named):
        own = folder / f"server{len(started)}" if started else folder
        own.mkdir(exist_ok=True)
        binds = ["-b", bind] if bind else []
        server = Server(own, [*binds, *args], **named)
        started.append(server)
        return server.start(wait=wait)

    try:
        yield start
    finally:
        problems = [problem for server in started for problem in end(server)]
    if problems:
        pytest.fail("after the test: " + "\n".join(problems))


def end(server):
    """Ends a server by its pid; returns what was wrong with its end."""
    problems = []
    if server.process is None:
        return problems
    try:
        if server.process.poll() is None:
            code = server.stop(signal.SIGINT, timeout=15)
            if code != 0:
                problems.append(f"INT ended the master with {code}")
        elif server.process.returncode not in server.expected_exit:
            problems.append(f"the master ended by itself with {server.process.returncode}")
        eventually(f"all processes gone: {server.processes()}", lambda: not proc.session_members(server.pid), 10)
        for address in server.addresses:
            eventually(f"{address} free", lambda: port_is_free(address), 5)
    except AssertionError as error:
        problems.append(str(error))
    finally:
        server.kill_everything()
    log = server.log()
    if poison := log_lines.POISON.search(log):
        problems.append(f"the log has {poison[0]!r}")
    if problems:
        sys.stderr.write(f"---- log of {server.args}\n{log[-6000:]}\n")
    return problems
