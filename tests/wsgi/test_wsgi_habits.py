"""Habits of applications that come from Gunicorn: processes that they fork and start, Gunicorn's logger, prints to
wsgi.errors, releases by a symbolic link."""
import functools
import os
import re
import resource
import signal

import pytest

import proc
from clock import eventually
from comparison import APPS, asked
from server import SANITIZED, port_is_free


@pytest.fixture
def habits(serve_app):
    return functools.partial(serve_app, "habits:app")


# ---- processes that the application starts ----

@pytest.mark.parametrize("threads", [1, 3])
def test_what_ends_a_child_does_not_end_its_worker(habits, threads):
    server = habits("--threads", threads)
    worker = asked(server, "pid")
    assert asked(server, "pool") == [1, 2, 3]  # which ends its processes by SIGTERM
    assert asked(server, "terminated") == -15
    assert asked(server, "pool") == [1, 2, 3]
    assert asked(server, "pid") == worker
    assert "Worker exiting" not in server.log()


def test_a_daemon_that_outlives_the_server_does_not_hold_its_port(habits):
    server = habits()
    daemon = asked(server, "daemon")
    try:
        assert server.stop() == 0
        assert proc.alive(daemon)
        eventually("the port free", lambda: port_is_free(server.address), 5)
    finally:
        os.kill(daemon, signal.SIGKILL)


@pytest.mark.skipif(SANITIZED, reason="ThreadSanitizer delivers no signal to the child of a process with threads")
def test_a_child_keeps_the_handlers_that_are_the_applications(habits):
    assert asked(habits(), "handled") == "caught"


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_programs_do_not_begin_with_signals_ignored(habits, preload):
    assert asked(habits(*preload), "ignored") == []


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("how, status, words", [
    ("exits", 3, None), ("exits_with_words", 1, r"^the child's last words$"),
    ("raises", 1, r"Exception in a process that the application has forked\nTraceback[^$]*IndexError"),
    ("returns", 0, r"\[WARNING\] A process that the application has forked returned to the server and is ended"),
    ("parts", "one and two", r"\[WARNING\] A process that the application has forked returned")])
def test_a_child_that_returns_is_ended_and_serves_no_request(habits, how, status, words, preload):
    server = habits(*preload)
    worker = asked(server, "pid")
    assert asked(server, how) == status
    assert {asked(server, "pid") for _ in range(5)} == {worker}
    assert set(server.processes()) == {worker, server.template()}
    if words:
        server.wait_for(words)
    else:
        assert "forked" not in server.log() and "Traceback" not in server.log()


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_a_child_that_returns_from_the_import_is_not_a_second_worker(serve, tmp_path, preload):
    (tmp_path / "forks.py").write_text("import os\nif os.fork() == 0: raise SystemExit\nos.wait()\nfrom habits import app\n")
    server = serve("forks:app", "--chdir", tmp_path, "--pythonpath", APPS, *preload, env={"PYTHONDONTWRITEBYTECODE": "1"})
    worker = asked(server, "pid")
    eventually("one worker", lambda: set(server.processes()) == {worker, server.template()})
    assert "Traceback" not in server.log()


# ---- its log ----

@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("flags, level, debugs", [([], 20, False), (["--log-level", "debug"], 10, True),
                                                  (["--log-level", "critical"], 50, False)])
def test_gunicorns_logger_writes_to_the_error_log(serve, tmp_path, flags, level, debugs, preload):
    log = tmp_path / "error.log"
    server = serve("habits:app", "--chdir", APPS, "-b", f"unix:{tmp_path}/s", "--error-logfile", log, *flags, *preload,
                   env={"PYTHONDONTWRITEBYTECODE": "1"}, wait=False)
    server.address = f"{tmp_path}/s"
    eventually("an answer", lambda: os.path.exists(server.address))
    assert asked(server, "log") == [level, False]
    pid = asked(server, "pid")
    shape = rf"^\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{{4}}\] \[{pid}\] "
    text = log.read_text()
    expected = {r"\[INFO\] to inform$": level <= 20, r"\[WARNING\] borrowed to warn$": level <= 30,
                r"\[ERROR\] caught\nTraceback": level <= 40, r"\[DEBUG\] to debug 1$": debugs,
                r"\[DEBUG\] borrowed to debug$": debugs}
    assert {line: bool(re.search(shape + line, text, re.MULTILINE)) for line in expected} == expected, text


def test_a_line_that_is_written_in_pieces_is_one_line(habits):
    server = habits()
    assert asked(server, "errors") == [False, "utf-8", False]
    log = server.wait_for(r"^printed in 4 pieces\n(.*\n)*without an end\n")[0]
    server.wait_for(r"^by a thread$")  # when that is gone, a little after join()
    assert log.replace("by a thread\n", "") == "printed in 4 pieces\n\nbegun, ended\nnext line\nflushed\nwithout an end\n"


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_after_a_rotation_all_that_is_written_is_in_the_new_file(serve, tmp_path, preload):
    log, renamed = tmp_path / "error.log", tmp_path / "error.log.1"
    server = serve("habits:app", "--chdir", APPS, "-b", f"unix:{tmp_path}/s", "--error-logfile", log, "--capture-output",
                   *preload, env={"PYTHONDONTWRITEBYTECODE": "1"}, wait=False)
    server.address = f"{tmp_path}/s"
    eventually("an answer", lambda: os.path.exists(server.address))
    worker = asked(server, "pid")
    asked(server, "prints?before")
    log.rename(renamed)
    server.send(signal.SIGUSR1)
    eventually("the new file", log.exists)

    def is_in_the_new_one(word):
        asked(server, f"prints?{word}")
        return f"\n{word}\n" in "\n" + log.read_text() and f"logged {word}\n" in log.read_text()
    eventually("the worker's lines in it", lambda: is_in_the_new_one("after"))  # it reopens when its loop comes to it
    os.kill(worker, signal.SIGKILL)
    server.wait_workers(1, without=[worker])
    assert is_in_the_new_one("later")
    assert "before" in renamed.read_text() and "later" not in renamed.read_text()


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("flags", [[], ["--capture-output"], ["--preload"]], ids=str)
def test_a_server_that_is_started_with_a_standard_stream_closed_serves_and_prints(serve, tmp_path, closed, flags):
    log = tmp_path / "error.log"
    server = serve("habits:app", "--chdir", APPS, "-b", f"unix:{tmp_path}/s", "--error-logfile", log, *flags,
                   env={"PYTHONDONTWRITEBYTECODE": "1"}, preexec=lambda: [os.close(number) for number in closed],
                   wait=False)
    server.address = f"{tmp_path}/s"
    eventually("an answer", lambda: os.path.exists(server.address) and "is ready" in log.read_text(), 5)
    asked(server, "prints?into-nothing")
    assert ("into-nothing\n" in log.read_text().replace("logged into-nothing\n", "")) == ("--capture-output" in flags)
    assert server.stop() == 0


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_a_file_that_reaches_its_limit_is_an_error_and_ends_no_process(serve, tmp_path, preload):
    (tmp_path / "writes.py").write_text("""
import os
def app(environ, start_response):
    start_response('200 OK', [])
    try:
        with open('big', 'wb') as file:
            file.write(b'x' * 3000000)
    except OSError as error:
        return [f'{os.getpid()} {error.strerror}'.encode()]
    return [b'written']
""")
    server = serve("writes:app", "--chdir", tmp_path, *preload)
    worker, = server.wait_workers(1)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (1000000, 1000000))
    for _ in range(3):
        assert server.get("/").text == f"{worker} File too large"


# ---- its modules ----

def test_a_module_of_the_applications_does_not_stand_in_for_pythons_logging(both, tmp_path):
    (tmp_path / "logging.py").write_text("raise ImportError('not this one')\n")
    (tmp_path / "shadows.py").write_text("from logging import getLogger\nfrom habits import app\n")
    assert both("shadows:app", "--chdir", tmp_path, "--pythonpath", APPS).narwhal.get("/log").status == 200


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("text, told", [
    ("def fails():\n    return [][0]\nfails()\n",
     'Traceback (most recent call last):\n  File "{folder}/site_app.py", line 3, in <module>\n'),
    ("import no_such\n", 'Traceback (most recent call last):\n  File "{folder}/site_app.py", line 1, in <module>\n'),
    ("def (\n", '  File "{folder}/site_app.py", line 1\n    def (\n'),
    (None, "ModuleNotFoundError: No module named 'site_app'\n")], ids=["raises", "import", "syntax", "absent"])
def test_the_traceback_of_a_failed_import_begins_where_the_application_does(serve, tmp_path, text, told, preload):
    if text is not None:
        (tmp_path / "site_app.py").write_text(text)
    server = serve("site_app:app", "--chdir", tmp_path, *preload, wait=False)
    assert server.wait_exit() == 3
    assert "Exception in worker process\n" + told.format(folder=tmp_path) in server.log()
    assert "<narwhal" not in server.log() and "importlib" not in server.log()


@pytest.mark.parametrize("name", ["ast", "random", "json", "queue", "traceback", "threading", "types", "string", "codecs"])
def test_a_module_of_the_application_named_as_one_of_pythons_does_no_harm(serve, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise ImportError('not this one')\n")
    (tmp_path / "shadows.py").write_text("def app(environ, start_response):\n    raise ValueError('told')\n")
    server = serve("shadows:app", "--chdir", tmp_path)
    assert server.get("/").status == 500
    server.wait_for(r"^ValueError: told$")


# ---- its deploys ----

@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_a_new_release_under_the_symbolic_link_is_served_after_hup(serve, tmp_path, preload):
    link = tmp_path / "current"
    for release in ("first", "second"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "site_app.py").write_text(
            f"def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{release}']\n")

    def point_to(release):
        (tmp_path / "next").symlink_to(release)
        (tmp_path / "next").rename(link)
    point_to("first")
    server = serve("site_app:app", *preload, env={"PWD": str(link)}, preexec=lambda: os.chdir(link))
    assert server.get("/").body == b"first"
    point_to("second")
    server.reload()
    assert server.get("/").body == b"second"
    link.unlink()
    server.reload()  # its folder was removed: it stays where it is
    assert server.get("/").body in (b"first", b"second")


def test_gunicorns_variable_is_read(serve):
    server = serve("habits:app", "--chdir", APPS, env={"GUNICORN_CMD_ARGS": "-w 3 --log-level critical"}, wait=False)
    server.wait_workers(3)
