"""worker_memory_max: a cgroup for each worker. The tests with a real one need root and cgroup v2 with the controller memory."""
import os
from pathlib import Path

import pytest

from clock import eventually
from server import example
from wire import WireError

ROOT = Path("/sys/fs/cgroup")
HOG = """
kept = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/hog":
        while True:
            kept.append(b"x" * 1000000)
    start_response("200 OK", [])
    return [b"here"]
"""


def has_memory_controller():
    file = ROOT / "cgroup.controllers"
    return file.exists() and "memory" in file.read_text().split() and os.access(ROOT, os.W_OK)


real = pytest.mark.skipif(not has_memory_controller(), reason="needs a writable cgroup v2 with the controller memory")


@pytest.fixture
def group():
    """A group that holds the server alone."""
    (ROOT / "cgroup.subtree_control").write_text("+memory")
    path = ROOT / f"narwhal-test-{os.getpid()}"
    path.mkdir()
    yield path
    for child in sorted(path.rglob("*/"), reverse=True):
        os.rmdir(child)
    path.rmdir()


def into(group):
    return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))


def groups(group):
    return sorted(child.name for child in group.iterdir() if child.is_dir())


@pytest.mark.skipif(has_memory_controller(), reason="the server could have a group")
def test_without_a_group_of_its_own_the_server_says_so_once_and_serves(serve):
    server = serve(example("echo"), "-w", "2", "--worker-memory-max", "100M")
    server.wait_workers(2)
    server.wait_for(r"\[WARNING\] worker_memory_max has no effect: .*Delegate=yes")
    server.reload()
    assert server.get("/").status == 200
    assert server.log().count("worker_memory_max has no effect") == 1


@real
def test_each_worker_has_a_group_with_the_limit_and_the_server_another(serve, group):
    server = serve(example("echo"), "-w", "2", "--worker-memory-max", "100M", preexec=into(group))
    pids = server.wait_workers(2)
    eventually("groups", lambda: groups(group) == ["narwhal-server", *sorted(f"narwhal-worker-{pid}" for pid in pids)])
    for pid in pids:
        own = group / f"narwhal-worker-{pid}"
        assert (own / "cgroup.procs").read_text().split() == [str(pid)]
        assert (own / "memory.max").read_text().strip() == str(100 * 1024 * 1024)
        assert 90 * 1024 * 1024 < int((own / "memory.high").read_text()) < 100 * 1024 * 1024
    assert str(server.pid) in (group / "narwhal-server" / "cgroup.procs").read_text().split()
    server.reload()
    eventually("the groups of the new workers", lambda: len(groups(group)) == 3 and not set(groups(group)) & {f"narwhal-worker-{pid}" for pid in pids})
    assert server.stop() == 0
    assert groups(group) == []


@real
def test_a_worker_past_the_limit_is_killed_named_and_replaced(serve, group, tmp_path):
    (tmp_path / "hog.py").write_text(HOG)
    server = serve("hog:app", "-w", "2", "--chdir", tmp_path, "--worker-memory-max", "150M", preexec=into(group))
    before = server.wait_workers(2)
    with pytest.raises((WireError, OSError)):
        server.get("/hog", timeout=60)
    server.wait_for(r"\[ERROR\] Worker \(pid:(\d+)\) has reached its memory limit of 157286400 bytes \(worker_memory_max\)")
    server.wait_for(r"was running: GET /hog")
    after = server.wait_workers(2, timeout=40)
    assert len(set(before) & set(after)) == 1
    assert server.get("/").text == "here"
    eventually("the dead worker's group removed", lambda: len(groups(group)) == 3)
    assert server.stop() == 0


@real
def test_a_group_with_other_processes_is_left_alone(serve, group):
    other = os.fork()
    if other == 0:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        os.execvp("sleep", ["sleep", "60"])
    try:
        eventually("moved", lambda: str(other) in (group / "cgroup.procs").read_text())
        server = serve(example("echo"), "-w", "1", "--worker-memory-max", "100M", preexec=into(group))
        server.wait_for(r"worker_memory_max has no effect: /sys/fs/cgroup/\S+ is not delegated to this server")
        assert groups(group) == [] and server.get("/").status == 200
        os.setxattr(group, "trusted.delegate", b"1")
        assert server.stop() == 0
        delegated = serve(example("echo"), "-w", "1", "--worker-memory-max", "100M", preexec=into(group))
        pid, = delegated.wait_workers(1)
        assert f"narwhal-worker-{pid}" in groups(group)
        assert delegated.stop() == 0
    finally:
        os.kill(other, 9)
        os.waitpid(other, 0)
