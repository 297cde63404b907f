"""narwhal as a container runs it: as process 1 of a PID namespace, where every file system is read-only."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import log_lines
import proc
import wire
from clock import eventually, scaled
from server import BINARY, WSGI, clean_environment, example

# mount_setattr(2) makes every mount of the namespace read-only.
READ_ONLY = """
import ctypes, os, sys
class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(442, -100, b"/", 0x8000, ctypes.byref(Attributes(1)), 32) != 0:
    sys.exit("mount_setattr: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""
AS_A_CONTAINER = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() != 0 else []), "--mount", "--pid", "--fork",
                  "--kill-child", "--mount-proc", sys.executable, "-c", READ_ONLY]


@pytest.fixture(scope="module")
def namespaces():
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    tried = subprocess.run([*AS_A_CONTAINER, "/bin/true"], capture_output=True, text=True, timeout=scaled(30))
    if tried.returncode != 0:
        pytest.skip(f"namespaces cannot be made here: {tried.stderr.strip()}")


def family(pid):
    """Every descendant, zombies too."""
    found = {int(name) for name in os.listdir("/proc") if name.isdigit()
             and (fields := proc.stat_fields(int(name))) and int(fields[1]) == pid}
    return found | {deeper for child in found for deeper in family(child)}


class Container:
    """narwhal as process 1 of a PID namespace, on a read-only root."""

    def __init__(self, folder, *words):
        self.log_path = folder / "container.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*AS_A_CONTAINER, BINARY, "-b", "127.0.0.1:0", *words], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=folder, env=clean_environment(), start_new_session=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for(self, pattern):
        eventually(f"{pattern!r} in the log", lambda: re.search(pattern, self.log()) or self.process.poll() is not None, 20)
        assert re.search(pattern, self.log()), self.log()

    def wait_ready(self):
        self.wait_for(log_lines.READY)
        host, port, pid = re.search(r"Listening at: http://(.*):(\d+) \((\d+)\)", self.log()).groups()
        assert pid == "1"
        self.address = (host, int(port))
        (self.master,) = proc.children(self.process.pid)

    def end(self, number=signal.SIGTERM):
        os.kill(self.master, number)
        return self.process.wait(scaled(20))


@pytest.fixture
def container(namespaces, tmp_path):
    started = []

    def start(*words):
        started.append(Container(tmp_path, *words))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()  # --kill-child: and with process 1 the whole namespace ends
        one.process.wait(10)
        assert not log_lines.POISON.search(one.log())


SHOP = """
import os, subprocess
def app(environ, start_response):
    if environ["PATH_INFO"] == "/orphan":
        subprocess.run(["sh", "-c", "sleep 1 & sleep 1.5 &"])
    start_response("200 OK", [])
    return [b"%d" % len(environ["wsgi.input"].read())]
"""
needs_wsgi = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin")


@needs_wsgi
def test_a_python_application_is_served_and_reloaded_where_nothing_can_be_written(container, tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    one = container("-w", "2", "shop:app")
    one.wait_ready()
    assert wire.fetch(one.address, "/").text == "0"
    (tmp_path / "shop.py").write_text(SHOP.replace('b"%d"', 'b"new %d"'))  # from outside, as a volume's owner may
    os.kill(one.master, signal.SIGHUP)
    eventually("the new code", lambda: wire.fetch(one.address, "/").text == "new 0", 20)
    assert one.end() == 0
    assert "No directory for private copies of plugins" in one.log()


def test_a_plugin_is_loaded_from_its_own_file_there(container):
    one = container(example("hello"))
    one.wait_ready()
    assert wire.fetch(one.address, "/").status == 200
    assert any(str(example("hello")) in line for pid in family(one.master) for line in proc.maps(pid))
    assert one.end(signal.SIGINT) == 0


@needs_wsgi
def test_a_body_that_has_no_room_there_is_refused_and_the_log_says_which_setting(container, tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    one = container("shop:app")
    one.wait_ready()
    assert wire.fetch(one.address, "/", method="POST", body=b"x" * 60_000).text == "60000"
    assert wire.fetch(one.address, "/", method="POST", body=b"x" * 70_000).status == 503
    one.wait_for(r"\[ERROR\] POST /: make a file for a request body in /tmp \(tmp_upload_dir\): Read-only file system")
    assert wire.fetch(one.address, "/").status == 200


@needs_wsgi
def test_process_1_reaps_orphans_and_stops_at_term(container, tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    one = container("-w", "2", "shop:app")
    one.wait_ready()
    before = family(one.master)
    assert wire.fetch(one.address, "/orphan").status == 200
    eventually("the orphans are process 1's", lambda: set(proc.children(one.master)) - before)
    eventually("the orphans are gone, and none is a zombie", lambda: family(one.master) == before, 10)
    began = time.monotonic()
    assert one.end() == 0
    assert time.monotonic() - began < scaled(10)
