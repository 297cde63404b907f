"""--debug: the server as one process, for debuggers: nothing is forked, nothing has a time limit, and the end is clean."""
import re
import shutil
import signal

import pytest

import proc
from clock import eventually
from server import SANITIZED, WSGI, example, run, test_plugin
from wire import request_bytes

FIRST = ("Debug mode: one process, no supervision, no time limits of handlers; Ctrl-C (INT) or TERM ends it")
needs_wsgi = pytest.mark.skipif(not WSGI.exists(), reason="the WSGI plugin was not built: it needs python3-dev")
APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def python(tmp_path):
    """The arguments for a Python application that answers the process ID of its worker."""
    (tmp_path / "shop.py").write_text(APP)
    return ["shop:app", "--chdir", tmp_path]


# ---- one process ----
def test_it_is_one_process_which_says_so_first_and_serves(serve):
    server = serve("--debug", example("echo"))
    assert server.lines()[0][2:] == ("WARNING", FIRST)
    assert server.processes() == {}
    assert proc.title(server.pid) == "narwhal: debug [echo]"
    assert server.get("/", method="POST", body=b"x" * 300_000).status == 200
    with server.load(clients=4) as load:
        load.wait_for_more(200)
    load.assert_clean(200)
    assert server.processes() == {}


def test_the_plugin_is_loaded_from_its_own_file(serve, tmp_path):
    plugin = shutil.copyfile(test_plugin("answers"), tmp_path / "shop.so")
    server = serve("--debug", "./shop.so")
    maps = open(f"/proc/{server.pid}/maps", encoding="utf-8").read()
    assert str(plugin) in maps
    assert not re.search(r"/narwhal-\w{6}/", maps), "there is no private copy"


@needs_wsgi
@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_a_python_application_is_served_by_the_same_process(serve, python, tmp_path, where):
    path = tmp_path / "shop.sock"
    server = serve("--debug", *python, bind="127.0.0.1:0" if where == "tcp" else f"unix:{path}")
    assert int(server.get("/").text) == server.pid
    assert server.processes() == {}
    assert proc.title(server.pid) == "narwhal: debug [shop:app]"
    assert server.stop(signal.SIGINT) == 0
    assert not path.exists()


def test_the_file_of_a_unix_socket_is_removed(serve, tmp_path):
    path = tmp_path / "shop.sock"
    server = serve("--debug", example("hello"), bind=f"unix:{path}")
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert not path.exists()


def test_settings_that_have_no_meaning_are_named_in_one_line_and_the_others_act(serve, tmp_path):
    config = f"workers: 4\npidfile: {tmp_path}/pid\ndaemon: true\naccesslog: {tmp_path}/access.log\nreload: false\n"
    server = serve("--debug", example("hello"), "--user", "nobody", "--threads", "2", "--admin-bind", "127.0.0.1:0",
                   "--timeout", "5", "--preload", config=config)
    lines = [text for *_, text in server.lines() if text.startswith("Debug mode ignores")]
    assert lines == ["Debug mode ignores these settings: preload_app, workers, daemon, user, pidfile, admin_bind, timeout"]
    assert server.get("/").status == 200
    assert server.processes() == {} and not (tmp_path / "pid").exists()
    assert server.stop() == 0
    assert '"GET / HTTP/1.1" 200' in (tmp_path / "access.log").read_text()


def test_nothing_is_named_if_nothing_is_ignored(serve):
    server = serve("--debug", example("hello"), "--threads", "2", "-w", "1")
    assert "ignores" not in server.log()


# ---- no time limits ----
def test_a_handler_may_take_longer_than_any_timeout(serve, tmp_path):
    config = f"timeout: 1\nsoft_timeout: 1\nheartbeat_timeout: 1\nroutes:\n  - {{prefix: /, app: {test_plugin('crashes')}, timeout: 1}}\n"
    server = serve("--debug", config=config)
    assert "timeout, soft_timeout, heartbeat_timeout, the time limits of routes" in server.log()
    assert server.get("/slow", timeout=30).text == "ok"
    assert "Slow" not in server.log() and "TIMEOUT" not in server.log()


# ---- the end ----
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_ends_it_after_its_requests_and_worker_exit(serve, tmp_path, number):
    server = serve("--debug", test_plugin("crashes"), "--threads", "2")
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/hang"))
        eventually("in its handler", (tmp_path / "hangs").exists, 10)
        server.send(number)
        server.wait_for(rf"Handling signal: {number.name}: finishes its requests and ends")
        (tmp_path / "go").touch()
        assert wire.response().text == "ok"
        assert server.wait_exit() == 0
    assert re.search(r"crashes: worker_exit\n(.*\n)*.*Debug mode has ended", server.log())
    assert ("cannot reload: start narwhal again" in server.log()) == (number == signal.SIGHUP)


def test_a_second_signal_does_not_wait_for_a_handler(serve, tmp_path):
    server = serve("--debug", test_plugin("crashes"), "--threads", "2")
    with server.connect(timeout=30) as wire:
        wire.send(request_bytes("/hang"))
        eventually("in its handler", (tmp_path / "hangs").exists, 10)
        server.send(signal.SIGINT)
        server.wait_for("finishes its requests")
        server.send(signal.SIGINT)
        assert server.wait_exit() == 0
    assert "ends at once" in server.log() and "worker_exit" not in server.log()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_for_a_master_says_that_it_does_nothing(serve, number):
    server = serve("--debug", example("hello"))
    server.send(number)
    server.wait_for(rf"\[WARNING\] {number.name} has no effect in debug mode: there is no master")
    assert server.get("/").status == 200 and server.processes() == {}


@pytest.mark.skipif(SANITIZED, reason="the sanitizer's own handlers end the process")
def test_a_crash_ends_it_by_the_signal_itself_without_a_report_of_ours(serve):
    server = serve("--debug", test_plugin("crashes"))
    with server.connect() as wire:
        wire.send(request_bytes("/null"))
        assert server.wait_exit() == -signal.SIGSEGV
    assert "died of" not in server.log() and "addr2line" not in server.log()


# ---- a start that fails ----
@pytest.mark.parametrize("plugin, code, reason", [
    ("init_fails", 3, r"\[ERROR\] worker_init of \S+init_fails\.so: init fails on purpose"),
    ("undefined_symbol", 4, r"\[ERROR\] load \S+undefined_symbol\.so: .*undefined symbol"),
    ("gone", 1, r"narwhal: .*gone\.so: .*No such file"),
])
def test_a_start_that_fails_ends_with_the_servers_exit_code_and_its_reason(plugin, code, reason):
    done = run("--debug", "-b", "127.0.0.1:0", test_plugin(plugin))
    assert done.returncode == code, done.stderr
    assert re.search(reason, done.stderr), done.stderr


@needs_wsgi
def test_a_python_application_that_cannot_be_imported_ends_it(tmp_path):
    done = run("--debug", "-b", "127.0.0.1:0", "missing_module:app", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "ModuleNotFoundError: No module named 'missing_module'" in done.stderr


# ---- beside other ways to run ----
def test_check_config_and_print_config_take_precedence(tmp_path):
    done = run("--debug", "--check-config", example("hello"))
    assert (done.returncode, done.stderr) == (0, "")
    assert run("--debug", "--print-config", example("hello")).stdout.startswith("app: ")


def test_it_takes_no_value_and_may_be_in_the_variable(serve):
    done = run("--debug=yes", example("hello"))
    assert done.returncode == 2 and "--debug: does not take a value, but got 'yes'" in done.stderr
    server = serve(example("hello"), env={"NARWHAL_CMD_ARGS": "--debug"})
    assert FIRST in server.log() and server.processes() == {}
