"""Hardship: no descriptors left, a full disk, a reader of the log that is gone, files cleaned away, drains in the
middle of uploads and downloads."""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

import proc
from clock import eventually, scaled
from plugin_files import deploy, versioned
from server import BINARY, clean_environment, example
from wire import Truncated, WireError, fetch, request_bytes


# ---- drains in the middle of something ----
def drain_by_reload(server):
    server.send(signal.SIGHUP)
    eventually("the next generation", lambda: max(server.generations(), default=0) > 1)


def drain_by_term(server):
    server.send(signal.SIGTERM)
    server.wait_for("Handling signal: term")


def drained(server, drain):
    if drain is drain_by_term:
        assert server.wait_exit() == 0


DRAINS = pytest.mark.parametrize("drain", [drain_by_reload, drain_by_term])


@DRAINS
def test_an_upload_in_hand_outlives_a_drain(serve, drain):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "30")
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/", method="POST", headers=[("Content-Length", "300000")], body=b"a" * 100_000))
        assert wire.quiet_for(0.2)
        drain(server)
        for _ in range(10):
            assert wire.quiet_for(0.1)
            wire.send(b"a" * 20_000)
        response = wire.response()
        assert json.loads(response.body)["body_len"] == 300_000 and response.closes
    drained(server, drain)


@DRAINS
@pytest.mark.parametrize("how", ["", "&write=1", "&chunked=1"])
def test_a_download_in_hand_outlives_a_drain(serve, drain, how):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "30")
    with server.connect(timeout=30, receive_buffer=8192) as wire:
        wire.send(request_bytes(f"/?size=20000000{how}"))
        eventually("the first bytes", lambda: not wire.quiet_for(0.01))
        drain(server)
        assert wire.response().body == b"x" * 20_000_000
    drained(server, drain)


@DRAINS
def test_a_pipeline_in_hand_is_answered_up_to_the_announced_end(serve, drain):
    """Requests after the answer with `Connection: close` were never begun: the client may repeat them elsewhere."""
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "30")
    with server.connect(timeout=30) as wire:
        wire.send(b"".join(request_bytes(f"/{number}?sleep=0.2") for number in range(10)))
        assert wire.response().status == 200
        drain(server)
        for number in range(1, 10):
            response = wire.response()
            assert json.loads(response.body)["path"] == f"/{number}"
            if response.closes:
                break
        assert response.closes
        try:
            assert wire.rest() == b""
        except Truncated as end:
            assert end.reset and end.got == 0  # unread requests turn FIN into RST
    drained(server, drain)


@DRAINS
def test_half_a_head_does_not_hold_a_drain_up(serve, drain):
    server = serve(example("echo"), "-w", "1", "--graceful-timeout", "60", "--header-timeout", "2")
    old = server.wait_workers(1)
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHo")
        assert wire.quiet_for(0.2)
        drain(server)
        eventually("the old worker gone", lambda: old[0] not in server.worker_pids(), 12)
    drained(server, drain)


# ---- resources that run out ----
def test_with_no_descriptors_left_the_server_lives_and_comes_back(serve):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
    server = serve(example("echo"), "-w", "1", "--worker-connections", "1000", preexec=few)
    worker, = server.wait_workers(1)
    wires = [server.connect() for _ in range(100)]
    for wire in wires:
        wire.send(request_bytes("/"))
    server.wait_for(r"(?i)open files|descriptors")
    before = proc.cpu_seconds(worker)
    time.sleep(1)  # in this time a loop would spin
    assert proc.cpu_seconds(worker) - before < scaled(0.3)
    refused = re.findall(r"accept: Too many open files: raise .*", server.log())
    assert 1 <= len(refused) <= 4, "one line a second, with the number of the others"
    for wire in wires:
        wire.close()
    eventually("served again", lambda: status_or_none(server) == 200, 15)
    assert server.worker_pids() == [worker]


def status_or_none(server):
    try:
        return server.get("/", timeout=2).status
    except (WireError, OSError):
        return None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_under_the_logs_does_not_stop_the_service(serve, tmp_path):
    path = tmp_path / "s.sock"
    server = serve(example("echo"), "-w", "2", "--error-logfile", "/dev/full", "--access-logfile", "/dev/full",
                   bind=f"unix:{path}", wait=False)
    eventually("listening", path.exists)
    server.address = str(path)
    with server.load(clients=4) as load:
        load.wait_for_more(200)
        before = server.worker_pids()
        server.send(signal.SIGHUP)
        eventually("reloaded", lambda: server.worker_pids() and not set(server.worker_pids()) & set(before), 20)
        load.wait_for_more(50)
    load.assert_clean(250)
    assert server.stop(signal.SIGTERM) == 0


def test_a_log_whose_reader_is_gone_does_not_stop_the_service(serve, tmp_path):
    """narwhal ... 2>&1 | head -1"""
    path = tmp_path / "s.sock"
    reading, writing = os.pipe()
    process = subprocess.Popen([BINARY, "-b", f"unix:{path}", "--access-logfile", "-", example("echo")],
                               stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, env=clean_environment(),
                               start_new_session=True)
    os.close(writing)
    try:
        assert b"Starting narwhal" in os.read(reading, 200)
        os.close(reading)
        eventually("listening", path.exists)
        for _ in range(3):
            assert fetch(str(path)).status == 200
        process.send_signal(signal.SIGHUP)
        assert fetch(str(path)).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(scaled(15)) == 0
    finally:
        for pid in proc.session_members(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(10)


# ---- files that go away ----
def test_a_cleaner_of_tmp_does_not_take_the_service_down(serve, tmp_path):
    """The staged copies are removed while they run: live workers continue, deaths are survived, HUP restores the copies."""
    app, stage = versioned(tmp_path / "app.so", "v1"), tmp_path / "stage"
    stage.mkdir()
    server = serve(app, "-w", "2", "--stage-dir", stage)
    before = server.wait_workers(2)
    for entry in os.scandir(stage):
        shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)
    os.kill(before[0], signal.SIGKILL)
    server.wait_workers(2, without=before[:1])
    assert server.get("/").text == "v1"
    os.kill(server.template(), signal.SIGKILL)
    server.wait_for(r"Template of generation 1 ended: load \S+/app.so: its private copy \S+ has been deleted, .*: HUP makes a new one")
    with server.load(clients=2, keep_alive=False) as load:
        load.wait_for_more(100)
        deploy(app, "v2")
        server.reload(timeout=40)
        load.wait_for_body(b"v2", 40)
    load.assert_clean(100)


def test_a_config_that_is_gone_at_hup_changes_nothing(serve):
    server = serve(example("echo"), config="workers: 2\n")
    before = server.wait_workers(2)
    server.config_path.unlink()
    mark = server.mark()
    server.send(signal.SIGHUP)
    server.wait_for(r"\[ERROR\] Reload failed at step 'config'.*narwhal\.yaml", after=mark)
    assert server.worker_pids() == before and server.get("/").status == 200


def test_a_working_folder_that_is_gone_does_not_stop_a_reload(serve, tmp_path):
    folder = tmp_path / "started-here"
    folder.mkdir()
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, "--chdir", folder)
    folder.rmdir()
    mark = server.mark()
    deploy(app, "v2")
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step|Generation 2 is ready", after=mark)
    assert server.get("/").text in ("v1", "v2")
