"""Users, pid files, titles: the user of each process, and what other users find on disk."""
import os
import re
import signal
import stat
import tempfile

import pytest

import proc
from clock import eventually
from plugin_files import deploy, versioned
from server import example, run

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its user")
NOBODY = 65534


@as_root
def test_only_the_master_keeps_roots_rights(serve, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")  # in a folder that the user nobody may not enter
    assert stat.S_IMODE(tmp_path.stat().st_mode) & 0o007 == 0
    server = serve(app, "-w", "2", "--user", "nobody", "--group", "nogroup")
    workers = server.wait_workers(2)
    assert server.get("/").text == "v1"
    for pid in [*workers, server.template()]:
        assert proc.status_field(pid, "Uid") == [NOBODY] * 4 and proc.status_field(pid, "Gid") == [NOBODY] * 4
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            text = file.read()
        assert re.search(r"^CapEff:\s+0+$", text, re.MULTILINE)
        assert "0" not in re.search(r"^Groups:\s*(.*)$", text, re.MULTILINE)[1].split(), "root's groups are still there"
    assert proc.status_field(server.pid, "Uid") == [0] * 4


@as_root
def test_respawn_and_reload_keep_the_user(serve, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    server = serve(app, "--user", str(NOBODY), "--group", str(NOBODY))
    worker, = server.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    server.wait_workers(1, without=[worker])
    deploy(app, "v2")
    server.reload()
    pid, = server.wait_workers(1)
    assert proc.status_field(pid, "Uid") == [NOBODY] * 4
    assert server.get("/").text == "v2"


@as_root
def test_the_user_nobody_can_read_but_not_change_the_staged_copy(serve, tmp_path):
    app = versioned(tmp_path / "app.so", "v1")
    with tempfile.TemporaryDirectory() as stage:
        os.chmod(stage, 0o755)  # the worker must be able to enter it
        server = serve(app, "--user", "nobody", "--stage-dir", stage)
        worker, = server.wait_workers(1)
        copies = {line.split(None, 5)[5].replace(" (deleted)", "") for line in proc.maps(worker) if stage in line}
        assert copies
        for copy in filter(os.path.exists, copies):
            for path in (copy, os.path.dirname(copy)):
                assert os.stat(path).st_uid == 0 and not os.stat(path).st_mode & 0o022
        server.stop()


@as_root
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_logs_that_only_root_may_open_are_written_by_all(serve, tmp_path, preload):
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o700)
    error, access = logs / "error.log", logs / "access.log"
    with tempfile.TemporaryDirectory() as folder:
        server = serve(example("echo"), "--user", "nobody", "--error-logfile", error,
                       "--access-logfile", access, *preload, bind=f"unix:{folder}/s", wait=False)
        server.address = f"{folder}/s"
        eventually("ready", lambda: error.exists() and "is ready" in error.read_text())
        def is_logged(path):
            server.get(path)
            return f"{path} " in access.read_text()
        for number in range(3):
            eventually("its line", lambda: is_logged(f"/before{number}"))
            worker, = server.wait_workers(1)
            for log in (error, access):
                log.rename(f"{log}.{number}")
            if number == 1:  # as logrotate's `create 0640 root adm`
                for log in (error, access):
                    log.touch(0o640)
            server.send(signal.SIGUSR1)
            eventually("the new files", lambda: error.exists() and access.exists())
            eventually("its line in the new one", lambda: is_logged(f"/after{number}"))
            os.kill(worker, signal.SIGABRT)  # it logs its end itself
            eventually("its last words", lambda: f"[{worker}] [CRITICAL] Worker died of SIGABRT" in error.read_text())
            server.wait_workers(1, without=[worker])
        eventually("a later worker's line", lambda: is_logged("/later"))
        assert stat.S_IMODE(access.stat().st_mode) & 0o022 == 0 and access.stat().st_uid == 0
        assert "Permission" not in "".join(log.read_text() for log in logs.glob("error.log*"))


def test_a_log_that_cannot_be_reopened_is_reported_once_and_the_former_is_used(serve, tmp_path):
    access = tmp_path / "access.log"
    server = serve(example("echo"), "-w", "2", "--access-logfile", access)
    former = access.rename(tmp_path / "former.log")
    access.mkdir()
    server.send(signal.SIGUSR1)
    server.wait_for(r"\[ERROR\] open log .*access.log: Is a directory; generation 1 continues to use the previous file until the next USR1")
    server.get("/still")
    eventually("its line", lambda: "/still" in former.read_text())
    assert server.log().count("Is a directory") == 1


def test_an_access_log_that_cannot_be_opened_fails_the_boot(tmp_path):
    done = run("-b", f"unix:{tmp_path}/s", "--access-logfile", tmp_path / "missing" / "access.log", example("echo"))
    assert done.returncode == 1 and f"narwhal: open log {tmp_path}/missing/access.log: No such file" in done.stderr, done.stderr


def test_an_unknown_user_is_reported():
    done = run("--user", "no-such-user-here", example("echo"))
    assert done.returncode in (1, 2) and "no-such-user-here" in done.stderr


def test_titles_name_each_process(serve, tmp_path):
    server = serve(example("echo"), "-w", "2")
    server.wait_workers(2)
    assert re.fullmatch(r"narwhal: master \[echo\]", proc.title(server.pid))
    titles = sorted(server.processes().values())
    assert titles == [f"narwhal: {role} [echo] gen 1" for role in ("template", "worker 1", "worker 2")]
    named = serve(example("echo"), "--name", "shop")
    named.wait_workers(1)
    assert proc.title(named.pid) == "narwhal: master [shop]"


# ---- pid file ----
def test_the_pid_file_is_there_while_the_master_is(serve, tmp_path):
    path = tmp_path / "narwhal.pid"
    server = serve(example("echo"), "--pid", path)
    assert int(path.read_text()) == server.pid and stat.S_IMODE(path.stat().st_mode) == 0o644
    server.reload()
    assert int(path.read_text()) == server.pid
    server.stop(signal.SIGTERM)
    assert not path.exists()


def test_a_pid_file_in_use_is_respected(serve, tmp_path):
    path = tmp_path / "narwhal.pid"
    server = serve(example("echo"), "--pid", path)
    done = run("-b", "127.0.0.1:0", "--pid", path, example("echo"))
    assert done.returncode == 1 and str(server.pid) in done.stderr and str(path) in done.stderr
    assert int(path.read_text()) == server.pid and server.get("/").status == 200


@pytest.mark.parametrize("content", ["999999999\n", "", "rubbish\n", "{alive}\n", "1\n"])
def test_a_stale_pid_file_does_not_stop_a_start(serve, tmp_path, content):
    """Also one whose pid another process has now: that process does not hold the file's lock."""
    path = tmp_path / "narwhal.pid"
    path.write_text(content.format(alive=os.getpid()))
    server = serve(example("echo"), "--pid", path)
    assert int(path.read_text()) == server.pid


def test_a_pid_file_survives_kill_and_is_taken_over(serve, tmp_path):
    path = tmp_path / "narwhal.pid"
    first = serve(example("echo"), "--pid", path)
    first.wait_workers(1)
    first.send(signal.SIGKILL)
    first.wait_exit()
    eventually("its workers gone", lambda: not proc.session_members(first.pid), 5)
    second = serve(example("echo"), "--pid", path)
    assert int(path.read_text()) == second.pid
