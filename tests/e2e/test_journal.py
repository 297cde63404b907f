"""Under systemd each line of the error log has its priority: a stream that JOURNAL_STREAM names stands for the journal's."""
import os
import re
import signal
import socket
import subprocess

import pytest

from server import BINARY, WSGI, clean_environment, example, test_plugin
from test_logs_never_block import Reader, Watched
from clock import eventually

needs_wsgi = pytest.mark.skipif(not WSGI.exists(), reason="the WSGI plugin was not built: it needs python3-dev")
LEVELS = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
LINE = re.compile(r"<(\d)>\[\d{4}-[^]]*\] \[\d+\] \[(\w+)\] (.*)")
APP = '''
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("on purpose")
    if environ["PATH_INFO"] == "/prints":
        import sys
        print("a print of the application", file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
'''


@pytest.fixture
def journal():
    """(descriptor to write to, environment, Reader)"""
    ours, theirs = (end.detach() for end in socket.socketpair())
    facts = os.fstat(theirs)
    reader = Reader(ours)
    reader.start()
    yield theirs, {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}, reader
    os.close(ours)


def lines_of(reader):
    """[(priority, level, text)] of the lines of the error log, whose priorities must be those of their levels."""
    found = [match.groups() for line in reader.text().splitlines() if (match := LINE.fullmatch(line))]
    assert found and all(int(priority) == LEVELS[level] for priority, level, _ in found)
    return found


@needs_wsgi
def test_lines_of_master_template_and_worker_have_priorities_and_prints_have_none(tmp_path, journal):
    theirs, environment, reader = journal
    (tmp_path / "shop.py").write_text(APP)
    with Watched(tmp_path, "--log-level", "debug", "shop:app", stderr=theirs, env=environment) as server:
        os.close(theirs)
        for target in ("/fails", "/prints"):
            server.get(target)
        server.process.send_signal(signal.SIGHUP)
        eventually("reloaded", lambda: "Generation 2 is ready" in reader.text(), 20)
        server.process.send_signal(signal.SIGUSR2)
        server.stop()
    reader.thread.join(5)
    lines = lines_of(reader)
    assert {level for _, level, _ in lines} >= {"INFO", "DEBUG", "ERROR"}
    text = reader.text()
    assert "\na print of the application\n" in text
    trace = text[text.index("Error handling request"):text.index("RuntimeError: on purpose") + 24].splitlines()
    assert len(trace) > 3 and all(line.startswith("<3>") for line in trace[1:])
    assert [line for line in text.splitlines() if not line.startswith("<")] == ["a print of the application"]


def test_each_line_of_a_crash_has_its_priority(tmp_path, journal):
    theirs, environment, reader = journal
    with Watched(tmp_path, test_plugin("dies_later"), stderr=theirs, env=environment) as server:
        os.close(theirs)
        worker, = server.workers()
        os.kill(worker, signal.SIGSEGV)
        eventually("the stack", lambda: re.search(r"died of SIGSEGV(?:.*\n)+<2>.*libc", reader.text()), 15)
        server.stop()
    reader.thread.join(5)
    lines_of(reader)
    assert all(line.startswith("<") for line in reader.text().splitlines())


@needs_wsgi
def test_the_log_process_writes_priorities(tmp_path, journal):
    theirs, environment, reader = journal
    (tmp_path / "shop.py").write_text(APP)
    with Watched(tmp_path, "--statsd-host", "127.0.0.1:1", "shop:app", stderr=theirs, env=environment) as server:
        os.close(theirs)
        server.get("/fails")
        server.stop()
    reader.thread.join(5)
    levels = {level for _, level, _ in lines_of(reader)}
    assert levels >= {"INFO", "ERROR"} and all(line.startswith("<") for line in reader.text().splitlines())


def test_a_log_in_a_file_has_none(tmp_path, journal):
    theirs, environment, reader = journal
    with Watched(tmp_path, "--error-logfile", tmp_path / "log", example("echo"), stderr=theirs, env=environment) as server:
        os.close(theirs)
        server.stop()
    assert (tmp_path / "log").read_text().startswith("[") and reader.text() == ""


def test_another_stream_than_the_journals_has_none(tmp_path, journal):
    theirs, environment, reader = journal
    environment = {"JOURNAL_STREAM": environment["JOURNAL_STREAM"] + "1"}
    with Watched(tmp_path, example("echo"), stderr=theirs, env=environment) as server:
        os.close(theirs)
        server.stop()
    reader.thread.join(5)
    assert all(line.startswith("[") for line in reader.text().splitlines())


@pytest.mark.parametrize("flags", [["--workers", "x"], ["--bind", "256.0.0.1:1"]])
def test_a_start_that_fails_is_an_error(journal, flags):
    theirs, environment, reader = journal
    subprocess.run([BINARY, *flags, example("echo")], stderr=theirs, env={**clean_environment(), **environment}, timeout=20)
    os.close(theirs)
    reader.thread.join(5)
    assert re.search(r"(?m)^<3>narwhal: ", reader.text()), reader.text()
