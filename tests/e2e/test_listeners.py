"""Addresses: TCP, IPv6, Unix sockets, inherited descriptors, several at once, and those of systemd."""
import fcntl
import os
import re
import signal
import socket
import stat
import sys

import pytest

import proc
from load import Load
from server import BINARY, example, run
from wire import fetch


def test_a_unix_socket_whose_file_was_removed_is_made_again_by_a_reload(serve, tmp_path):
    path = tmp_path / "app.sock"
    server = serve(example("echo"), "-w", "1", bind=f"unix:{path}")
    with server.load(clients=2, keep_alive=True) as load:
        load.wait_for_more(20)
        path.unlink()
        server.reload()
        server.wait_for(rf"\[WARNING\] {re.escape(str(path))} was removed: listening on a new socket there")
    assert server.get("/").status == 200
    server.stop()
    assert not path.exists()


def test_a_unix_socket_is_served_and_removed(serve, tmp_path):
    path = tmp_path / "s.sock"
    server = serve(example("echo"), "-w", "2", bind=f"unix:{path}")
    assert re.search(rf"Listening at: unix:{re.escape(str(path))} \(", server.log())
    with Load(str(path), clients=4) as load:
        load.wait_for_more(100)
    load.assert_clean(100)
    assert server.stop(signal.SIGTERM) == 0
    assert not path.exists()


def test_a_stale_socket_file_is_replaced_and_a_live_one_is_not(serve, tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    serve(example("echo"), bind=f"unix:{path}")
    assert fetch(str(path)).status == 200
    done = run("-b", f"unix:{path}", example("echo"))
    assert done.returncode == 1 and re.search("in use", done.stderr)
    assert fetch(str(path)).status == 200


def test_a_file_that_is_not_a_socket_is_never_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert run("-b", f"unix:{path}", example("echo")).returncode == 1
    assert path.read_text() == "data"


def test_umask_sets_the_sockets_mode(serve, tmp_path):
    path = tmp_path / "s.sock"
    serve(example("echo"), "--umask", "007", bind=f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    other = tmp_path / "t.sock"
    serve(example("echo"), bind=f"unix:{other}")
    assert stat.S_IMODE(other.stat().st_mode) == 0o777


def test_several_addresses_at_once(serve, tmp_path):
    path = tmp_path / "s.sock"
    server = serve("-b", "127.0.0.1:0", "-b", f"unix:{path}", example("echo"), "-w", "2")
    assert len(server.addresses) == 3 and server.addresses[2] == str(path)
    for address in server.addresses:
        for _ in range(5):
            assert fetch(address).status == 200


def test_ipv6(serve):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = serve(example("echo"), bind="[::1]:0")
    assert re.search(r"Listening at: http://\[::1\]:\d+ \(", server.log())
    assert server.get("/").status == 200


def test_an_inherited_descriptor(serve):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = serve(example("echo"), bind=f"fd://{listener.fileno()}", pass_fds=[listener.fileno()])
        assert server.port == listener.getsockname()[1]
        assert server.get("/").status == 200
        server.stop(signal.SIGTERM)
        server.addresses = []  # ours: it outlives the server


ACTIVATE = """
import os, sys
count = int(sys.argv[1])
for number, fd in enumerate(sys.argv[2:2 + count]):
    os.dup2(int(fd), 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def activated(serve, sockets, *args, **named):
    numbers = [fd for fd in (listener.fileno() for listener in sockets)]
    assert all(number > 3 + len(sockets) for number in numbers), numbers
    return serve("-c", ACTIVATE, len(sockets), *numbers, BINARY, *args, bind=None, binary=sys.executable,
                 pass_fds=numbers, **named)


def high(listener):
    """The same socket with a number that activation does not overwrite."""
    number = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 20)
    listener.close()
    return socket.socket(fileno=number)


def test_socket_activation(serve, tmp_path):
    path = tmp_path / "s.sock"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    with high(socket.create_server(("127.0.0.1", 0))) as tcp, high(unix) as unix:
        server = activated(serve, [tcp, unix], "-w", "2", example("echo"))
        assert server.addresses == [tcp.getsockname(), str(path)]
        for address in server.addresses:
            assert fetch(address).status == 200
        server.wait_workers(2)
        server.reload()
        for address in server.addresses:
            assert fetch(address).status == 200
        assert server.stop(signal.SIGTERM) == 0
        assert path.exists(), "systemd's socket file is systemd's"
        server.addresses = []


def test_activation_wins_over_bind(serve):
    with high(socket.create_server(("127.0.0.1", 0))) as tcp:
        server = activated(serve, [tcp], "-b", "127.0.0.1:1", example("echo"))
        assert server.addresses == [tcp.getsockname()] and server.get("/").status == 200
        server.stop(signal.SIGTERM)
        server.addresses = []


def test_activation_for_another_process_is_ignored(serve):
    server = serve(example("echo"), env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert server.get("/").status == 200


def test_reuse_port(serve):
    server = serve(example("echo"), "-w", "2", "--reuse-port")
    with server.load(clients=4, keep_alive=False) as load:
        load.wait_for_more(50)
        server.reload()
        load.wait_for_more(50)
    load.assert_clean(100)


def test_the_plugins_processes_hold_no_more_than_they_need(serve, tmp_path):
    """A worker has the listeners, the logs and its own descriptors; none of the pytest process or of other workers."""
    leaked = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        server = serve(example("echo"), "-w", "2", pass_fds=[leaked])
        for pid in server.wait_workers(2):
            shown = proc.descriptors(pid)
            listeners = [path for path in shown.values() if path.startswith("socket:")]
            assert len(shown) < 25, shown
            assert len(listeners) <= 6, shown
    finally:
        os.close(leaked)
