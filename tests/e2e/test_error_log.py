"""The error log: Gunicorn's format and texts, from start to stop."""
import os
import re
import signal

import pytest

import log_lines
from clock import eventually
from server import example
from wire import Wire


def test_every_line_has_the_shape(serve):
    server = serve(example("echo"), "-w", "2", "--log-level", "debug")
    server.wait_workers(2)
    server.get("/")
    server.reload()
    with server.connect() as wire:
        wire.send(b"GARBAGE\r\n\r\n")
        wire.response()
    server.stop(signal.SIGTERM)
    for line in server.log().splitlines():
        assert log_lines.LINE.fullmatch(line), line


def test_the_lines_of_a_start(serve):
    server = serve(example("echo"), "-w", "2")
    workers = server.wait_workers(2)
    server.wait_serving()
    log = server.log()
    patterns = (r"Starting narwhal \d+\.\d+\.\d+$", r"Listening at: http://127\.0\.0\.1:\d+ \(\d+\)$",
                log_lines.BOOTING)
    places = [re.search(pattern, log, re.MULTILINE) for pattern in patterns]
    assert all(places) and sorted(place.start() for place in places) == [place.start() for place in places]
    assert sorted(int(pid) for pid in re.findall(log_lines.BOOTING, log)) == workers
    master_lines = [line for line in server.lines() if "Listening at" in line[3]]
    assert [int(line[1]) for line in master_lines] == [server.pid]


def test_the_lines_of_a_reload(serve):
    server = serve(example("echo"), "-w", "2")
    old = server.wait_workers(2)
    mark = server.mark()
    server.reload()
    server.wait_for(r"Handling signal: hup", after=mark)
    server.wait_for(r"Hang up: Master", after=mark)
    server.wait_for(log_lines.BOOTING, after=mark, count=2)
    exited = {int(server.wait_for(log_lines.EXITING, after=mark, count=number)[1]) for number in (1, 2)}
    assert exited == set(old)
    server.wait_for(r"(?i)generation 2", after=mark)


def test_the_lines_of_a_stop(serve):
    server = serve(example("echo"), "-w", "2")
    workers = server.wait_workers(2)
    mark = server.mark()
    assert server.stop(signal.SIGTERM) == 0
    log = server.log()[mark:]
    assert "Handling signal: term" in log
    assert sorted(int(pid) for pid in re.findall(log_lines.EXITING, log)) == workers
    assert re.search(log_lines.SHUT_DOWN, log.splitlines()[-1])


def test_a_killed_worker_is_logged_as_in_gunicorn(serve):
    server = serve(example("echo"), "-w", "2")
    victim = server.wait_workers(2)[0]
    os.kill(victim, signal.SIGKILL)
    server.wait_for(rf"\[ERROR\] Worker \(pid:{victim}\) was sent SIGKILL! Perhaps out of memory\?")


@pytest.mark.parametrize("level,seen,unseen", [("warning", (), ("INFO", "DEBUG")), ("info", ("INFO",), ("DEBUG",)),
                                               ("debug", ("INFO", "DEBUG"), ())])
def test_the_level_decides(serve, tmp_path, level, seen, unseen):
    path = tmp_path / "s.sock"
    server = serve(example("echo"), "-w", "1", "--log-level", level, bind=f"unix:{path}", wait=False)
    eventually("the socket", path.exists)
    assert Wire(str(path)).ask("/").status == 200
    server.stop(signal.SIGTERM)
    levels = {line[2] for line in server.lines()}
    assert set(seen) <= levels and not set(unseen) & levels


def test_the_log_may_be_a_file(serve, tmp_path):
    path, socket_path = tmp_path / "error.log", tmp_path / "s.sock"
    server = serve(example("echo"), "-w", "1", "--error-logfile", path, bind=f"unix:{socket_path}", wait=False)
    eventually("the socket", socket_path.exists)
    assert Wire(str(socket_path)).ask("/").status == 200
    server.stop(signal.SIGTERM)
    text = path.read_text()
    assert re.search(r"Listening at: unix:" + re.escape(str(socket_path)), text) and "Shutting down: Master" in text
    assert server.log() == ""


def test_a_refused_request_is_logged_with_its_peer_and_escaped(serve):
    server = serve(example("echo"), "-w", "1", "--log-level", "debug")
    with server.connect() as wire:
        wire.send(b"GET /\x1b[2J HTTP/1.1\r\nHost: t\r\n\r\n")
        assert wire.response().status == 400
    server.wait_for(r"127\.0\.0\.1")
    assert "\x1b" not in server.log()


def test_usr1_reopens_both_logs_after_a_rotation(serve, tmp_path):
    error, access, path = tmp_path / "error.log", tmp_path / "access.log", tmp_path / "s.sock"
    server = serve(example("echo"), "-w", "2", "--error-logfile", error, "--access-logfile", access,
                   bind=f"unix:{path}", wait=False)
    eventually("ready", lambda: error.exists() and "is ready" in error.read_text())
    server.address = str(path)
    assert server.get("/before").status == 200
    eventually("the access line", lambda: "/before" in access.read_text())
    for log in (error, access):
        log.rename(f"{log}.1")
    server.send(signal.SIGUSR1)
    eventually("both again", lambda: error.exists() and access.exists())

    def logged():  # each worker reopens its own
        server.get("/after")
        return access.read_text().count("/after") >= 4
    eventually("access lines in the new file", logged)
    server.stop(signal.SIGTERM)
    assert "Shutting down: Master" in error.read_text()
    assert (tmp_path / "error.log.1").read_text().count("Shutting down") == 0


def test_a_reload_changes_the_logs(serve, tmp_path):
    first, second, path = tmp_path / "first.log", tmp_path / "second.log", tmp_path / "s.sock"
    server = serve(example("echo"), config=f"errorlog: {first}\n", bind=f"unix:{path}", wait=False)
    eventually("ready", lambda: first.exists() and "Generation 1 is ready" in first.read_text())
    server.config_path.write_text(f"errorlog: {second}\nloglevel: debug\n")
    server.send(signal.SIGHUP)
    eventually("generation 2", lambda: "Generation 2 is ready" in
               first.read_text() + (second.read_text() if second.exists() else ""))
    server.stop(signal.SIGTERM)
    assert "Shutting down: Master" in second.read_text() and "[DEBUG]" in second.read_text()
