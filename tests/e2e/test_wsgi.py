"""Python applications as processes: how they are found and loaded, on which thread they run, how they end and reload.
(tests/wsgi compares their HTTP with Gunicorn's.)"""
import ast
import re
import signal
import textwrap
import time

import pytest

import proc
from clock import eventually, scaled
from load import Background
from server import SANITIZED, THREAD_SANITIZED, WSGI, run
from wire import Truncated, WireError, request_bytes

pytestmark = pytest.mark.skipif(not WSGI.exists(),
                                reason="this build has no WSGI plugin: it needs the package python3-dev")

START = "start_response('200 OK', [('Content-Type', 'text/plain')])"


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def app_text(expression, setup=""):
    """A module whose app answers with the text of an expression."""
    return f"""\
import os, sys, threading, time, signal
{textwrap.dedent(setup)}
def app(environ, start_response):
    {START}
    return [str({expression}).encode()]
"""


@pytest.fixture
def site(serve, tmp_path):
    """site(expression, *flags): a server of an app that answers with it; `setup` is more of the app's code."""
    def start(expression, *flags, setup="", **named):
        write(tmp_path, "site_app.py", app_text(expression, setup))
        return serve("site_app:app", "--chdir", tmp_path, *flags, **named)
    return start


# ---- finding it ----
# (For its name see test_python_apps.py, and for Gunicorn tests/wsgi.)
def test_the_working_directory_comes_after_pythonpath_whose_last_entry_is_first(serve, tmp_path):
    write(tmp_path, "here.py", "import json, colorsys\n" + app_text("(json.__file__, colorsys.__file__)"))
    write(tmp_path, "json.py", "")
    write(tmp_path, "more/colorsys.py", "")
    write(tmp_path, "more/json.py", "")
    write(tmp_path, "less/json.py", "")
    server = serve("--chdir", tmp_path, "--pythonpath", f"{tmp_path}/nowhere,less,more", "here:app")
    assert server.get("/").body == str((f"{tmp_path}/more/json.py", f"{tmp_path}/more/colorsys.py")).encode()


@pytest.mark.parametrize("name, text, code, line", [
    ("absent:app", None, 3, "import absent: ModuleNotFoundError: No module named 'absent'"),
    ("site_app:app", "import absent_too\n", 3, "import site_app: ModuleNotFoundError: No module named 'absent_too'"),
    ("site_app:app", "def app(:\n", 3, r"import site_app: SyntaxError: .*site_app\.py\", line 1"),
    ("site_app:app", "raise SystemExit(7)\n", 3, "import site_app: SystemExit: 7"),
    ("site_app:nope", "app = 1\n", 4, "Failed to find attribute 'nope' in 'site_app'"),
    ("site_app:app", "app = 1\n", 4, "Application object must be callable"),
    ("site_app:app", "app = None\n", 4, "Failed to find application object"),
    ("site_app:app", "async def app(scope, receive, send): pass\n", 4, "only WSGI applications are served"),
    ("site_app:app", "class App:\n    async def __call__(self, scope, receive, send): pass\napp = App()\n", 4, "ASGI's way"),
    ("site_app:make(x)", "def make(x): pass\n", 4, "Failed to parse arguments as literal values"),
    ("site_app:make(1)", "def make(x): raise ValueError('made badly')\n", 3, "ValueError: made badly"),
    ("site_app:1 +", "", 4, "Failed to parse '1 \\+' as an attribute name or function call"),
    ("site_app.py:app", "app = 1\n", 3, "did you mean 'site_app:app'"),
])
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_an_app_that_does_not_load_ends_the_first_boot_with_a_message(tmp_path, name, text, code, line, preload):
    if text is not None:
        write(tmp_path, "site_app.py", text)
    ended = run("-b", "127.0.0.1:0", "--chdir", tmp_path, *preload, name)
    assert ended.returncode == code, ended.stderr
    assert re.search(line, ended.stderr), ended.stderr
    if code == 3:
        # of frames it has the application's, where there are any
        assert re.search(r"\[ERROR\] Exception in worker process\n(Traceback|  File|\w+Error: )", ended.stderr)
    assert "\\n" not in ended.stderr  # a traceback has lines


def test_extension_modules_load(site):
    setup = "import _ctypes, decimal, sqlite3, ssl, zlib\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n"
    server = site("(decimal.Decimal(1) / 3, numpy and numpy.arange(4).sum())", setup=setup)
    assert server.get("/").body.startswith(b"(Decimal('0.3333333333333333333333333333')")


# ---- threads ----
def test_with_one_thread_it_is_imported_and_called_on_the_main_thread(site):
    server = site("(threading.current_thread() is threading.main_thread(), home == threading.get_ident(),"
                  " connection.execute('select 42').fetchone(), signal.getsignal(signal.SIGALRM) is on_alarm)",
                  "--threads", 1, setup="""
        import sqlite3
        home = threading.get_ident()
        connection = sqlite3.connect(':memory:')
        def on_alarm(*_): pass
        signal.signal(signal.SIGALRM, on_alarm)
        """)
    slow = Background(server.get, "/")  # at the same time, so that requests wait for each other
    assert server.get("/").body == slow.result().body == b"(True, True, (42,), True)"


def test_handlers_run_side_by_side_with_more_threads_and_each_keeps_its_locals(site):
    server = site("(time.sleep(0.5), local.__dict__.setdefault('mine', threading.get_ident()) == threading.get_ident(),"
                  " environ['wsgi.multithread'])[1:]", "--threads", 4, setup="local = threading.local()\n")
    began = time.monotonic()
    answers = [Background(server.get, "/") for _ in range(4)]
    assert {answer.result().body for answer in answers} == {b"(True, True)"}
    assert time.monotonic() - began < scaled(1.5)


def test_background_threads_run_while_the_server_waits(site):
    server = site("ticks[0]", setup="""
        ticks = [0]
        def tick():
            while True:
                ticks[0] += 1
                time.sleep(0.005)
        threading.Thread(target=tick, daemon=True).start()
        """)
    before = int(server.get("/").body)
    time.sleep(0.5)
    assert int(server.get("/").body) - before > 20


def test_an_application_may_fork(site):
    server = site("(subprocess.run(['echo', 'from a child'], capture_output=True).stdout, forked())", setup="""
        import subprocess
        def forked():
            pid = os.fork()
            if pid == 0:
                os._exit(7)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        """)
    assert server.get("/").body == b"(b'from a child\\n', 7)"


# ---- the response's life ----
STREAM = """
import os, time
from pathlib import Path
trace = Path(os.environ['TRACE'])
class Parts:
    def __init__(self, parts): self.parts = iter(parts)
    def __iter__(self): return self
    def __next__(self): return next(self.parts)
    def close(self):
        with trace.open('a') as file: file.write('closed\\n')
        time.sleep(float(os.environ.get('CLOSE', 0)))
def endless():
    while True:
        yield b'x' * 1000
        time.sleep(0.01)
def gate():
    yield b'first'
    while not trace.exists(): time.sleep(0.01)
    yield b'last'
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/whole':
        start_response('200 OK', [('Content-Length', '5')])
        return Parts([b'whole'])
    start_response('200 OK', [])
    return Parts(gate() if path == '/gate' else endless() if path == '/endless' else [b'a', b'b'])
"""


@pytest.fixture
def stream(serve, tmp_path):
    def start(*flags, **env):
        write(tmp_path, "stream_app.py", STREAM)
        server = serve("stream_app:app", "--chdir", tmp_path, *flags, env={"TRACE": str(tmp_path / "trace"), **env})
        server.trace = tmp_path / "trace"
        return server
    return start


def test_the_first_part_leaves_before_the_next_is_made(stream):
    server = stream()
    with server.connect() as wire:
        wire.send(request_bytes("/gate"))
        assert wire.until(b"first\r\n").endswith(b"5\r\nfirst\r\n")
        server.trace.touch()
        assert wire.until(b"0\r\n\r\n") == b"4\r\nlast\r\n0\r\n\r\n"


@pytest.mark.parametrize("path", ["/whole", "/parts"])
def test_a_client_does_not_wait_for_close(stream, path):
    server = stream(CLOSE=str(scaled(5)))
    began = time.monotonic()
    assert server.get(path, timeout=scaled(20)).status == 200
    assert time.monotonic() - began < scaled(4)
    eventually("closed", lambda: server.trace.exists() and server.trace.read_text() == "closed\n")


def test_iteration_stops_and_close_runs_when_the_client_has_gone(stream):
    server = stream()
    with server.connect() as wire:
        wire.send(request_bytes("/endless"))
        wire.until(b"xxx")
        wire.reset()
    eventually("closed", lambda: server.trace.exists() and server.trace.read_text() == "closed\n")
    assert server.get("/parts").body == b"ab"


def test_a_write_to_a_client_that_has_gone_raises_and_is_not_logged(serve, tmp_path):
    write(tmp_path, "writes.py", """
        raised = []
        def app(environ, start_response):
            write = start_response('200 OK', [])
            if environ['PATH_INFO'] == '/raised':
                return [repr(raised).encode()]
            try:
                while True:
                    write(b'x' * 100000)
            except OSError as error:
                raised.append(type(error).__name__)
                raise
        """)
    server = serve("writes:app", "--chdir", tmp_path)
    with server.connect() as wire:
        wire.send(request_bytes("/"))
        wire.until(b"xxx")
        wire.reset()
    assert server.get("/raised").body == b"['BrokenPipeError']"
    assert "Error handling request" not in server.log()


# ---- failures ----
def test_an_exception_is_a_500_and_a_traceback_in_the_log(site):
    server = site("1 / 0")
    assert server.get("/why").status == 500
    server.wait_for(r"\[ERROR\] Error handling request /why\nTraceback \(most recent call last\):\n  File \".*site_app.py\"")
    server.wait_for(r"^ZeroDivisionError: division by zero$")
    assert server.get("/").status == 500 and len(server.worker_pids()) == 1


def test_sys_exit_in_a_request_ends_that_request_only(site):
    server = site("sys.exit(3)")
    worker, = server.wait_workers(1)
    assert server.get("/").status == 500
    assert server.get("/").status == 500
    assert server.worker_pids() == [worker]


def test_a_request_past_timeout_leaves_every_threads_python_stack_in_the_log(site):
    server = site("time.sleep(30)", "--threads", 2, "--timeout", 1, "--graceful-timeout", 2, setup="""
        def waits_in_the_background(): time.sleep(60)
        threading.Thread(target=waits_in_the_background, daemon=True).start()
        """)
    assert server.get("/slow?x", timeout=scaled(20)).status == 504
    server.wait_for(r"\[CRITICAL\] Python stacks, with GET /slow\?x past its deadline\n(Current thread|Thread) 0x")
    server.wait_for(r"site_app.py\", line \d+ in app$")
    server.wait_for(r"site_app.py\", line \d+ in waits_in_the_background$")


def test_a_crash_leaves_the_python_stack_in_the_log(site):
    server = site("ctypes.string_at(0)", setup="import ctypes, faulthandler\nassert faulthandler.is_enabled()\n")
    worker, = server.wait_workers(1)
    with pytest.raises((WireError, Truncated, ConnectionError)):
        server.get("/crash")
    server.wait_for(r"Fatal Python error: Segmentation fault")
    server.wait_for(r"site_app.py\", line \d+ in app$")
    server.wait_for(r"Worker died of SIGSEGV while handling GET /crash")
    server.wait_workers(1, without=[worker])


def test_an_import_that_hangs_ends_at_boot_timeout_with_its_python_stack_in_the_log(tmp_path):
    write(tmp_path, "hangs.py", "import time\ndef waits():\n    time.sleep(60)\nwaits()\n")
    ended = run("-b", "127.0.0.1:0", "--chdir", tmp_path, "--boot-timeout", 1, "hangs:app")
    assert ended.returncode == 3
    assert re.search(r'hangs.py", line 3 in waits\n  File ".*hangs.py", line 4 in <module>$', ended.stderr, re.MULTILINE)
    assert "not ready after 1 s (boot_timeout), its last step: worker_init of hangs:app" in ended.stderr


# ---- logs and the end ----
def test_wsgi_errors_goes_into_the_error_log_as_it_is(site, tmp_path):
    server = site("environ['wsgi.errors'].write('two\\nlines \\u00e4\\n')", "--error-logfile", tmp_path / "error.log", wait=False)
    eventually("ready", lambda: (tmp_path / "error.log").exists() and "is ready" in (tmp_path / "error.log").read_text())
    address = re.search(r"http://127.0.0.1:(\d+)", (tmp_path / "error.log").read_text())
    server.address = ("127.0.0.1", int(address[1]))
    assert server.get("/").body == b"12"
    assert "\ntwo\nlines ä\n" in (tmp_path / "error.log").read_text()


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_at_the_end_exit_handlers_run_and_what_was_printed_is_out(site, tmp_path, preload):
    server = site("print('printed')", *preload, setup=f"""
        import atexit
        atexit.register(lambda: open({str(tmp_path / 'left')!r}, 'a').write('x'))
        """)
    assert server.get("/").body == b"None"
    assert server.stop(signal.SIGTERM) == 0
    assert server.stdout() == "printed\n"
    assert (tmp_path / "left").read_text() == ("xx" if preload else "x")  # in the template, too


# ---- preload and reload ----
def test_preload_imports_once_for_all_workers(site, tmp_path):
    server = site("(imported_in, os.getpid(), after_fork)", "--preload", "-w", 3, setup=f"""
        imported_in = os.getpid()
        after_fork = []
        os.register_at_fork(after_in_child=lambda: after_fork.append(os.getpid()))
        open({str(tmp_path / 'imports')!r}, 'a').write('x')
        """)
    server.wait_workers(3)
    seen = {server.get("/").body for _ in range(60)}
    parents, pids, hooks = zip(*(ast.literal_eval(text.decode()) for text in seen))
    assert set(parents) == {server.template()} and set(pids) <= set(server.worker_pids())
    assert all(hook == [pid] for hook, pid in zip(hooks, pids)), "the fork hooks run once, in the worker"
    assert (tmp_path / "imports").read_text() == "x"


@pytest.mark.skipif(THREAD_SANITIZED, reason="ThreadSanitizer reports the threads that the preload left")
def test_a_preloaded_module_may_leave_threads_behind(site):
    server = site("threading.active_count()", "--preload",
                  setup="threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n")
    assert server.get("/").body == b"1"  # it is not in the worker


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_hup_serves_the_new_code_and_a_broken_deploy_leaves_the_old(site, tmp_path, preload):
    server = site("'old'", "-w", 2, *preload)
    assert server.get("/").body == b"old"
    write(tmp_path, "site_app.py", app_text("'new'"))
    server.reload()
    assert server.get("/").body == b"new"
    for broken, reason in [("def app(:\n", "SyntaxError"), ("import absent\n", "ModuleNotFoundError"), ("app = 1\n", "callable")]:
        write(tmp_path, "site_app.py", broken)
        mark = server.mark()
        with server.load(clients=2) as load:
            server.send(signal.SIGHUP)
            server.wait_for(rf"Reload failed .*{reason}", after=mark, timeout=20)
            load.wait_for_more(20)
        load.assert_clean(20)
        assert server.get("/").body == b"new"
    write(tmp_path, "site_app.py", app_text("'newest'"))
    server.reload()
    assert server.get("/").body == b"newest"


def test_two_applications_share_a_server(serve, tmp_path):
    for name in ("one", "two"):
        write(tmp_path, f"{name}.py", app_text(f"({name!r}, environ['SCRIPT_NAME'], environ['PATH_INFO'])"))
    server = serve(config=f"chdir: {tmp_path}\nroutes:\n  - {{prefix: /a, app: 'one:app'}}\n  - {{prefix: /b, app: 'two:app'}}\n")
    assert server.get("/a/x%20y").body == b"('one', '/a', '/x y')"
    assert server.get("/b").body == b"('two', '/b', '')"
    assert server.get("/c").status == 404


def test_early_hints_leave_before_the_response(site):
    server = site("environ['wsgi.early_hints']([('Link', '</a.css>; rel=preload')])")
    with server.connect() as wire:
        wire.send(request_bytes("/"))
        assert wire.until(b"None").startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_requests_leave_neither_objects_nor_memory(site):
    """Blocks of Python's allocator, before and after; tests/soak has the long form."""
    server = site("(gc.collect(), sys.getallocatedblocks())[1]", "-w", 1, setup="import gc\n")
    worker, = server.wait_workers(1)
    with server.connect() as wire:
        def blocks(count):
            for _ in range(count):
                answer = wire.ask("/some/path?query=1", headers=[("X-Odd", "a"), ("Cookie", "a=b")])
            return int(answer.body)
        first = blocks(300)
        before = proc.rollup(worker, "Private_Dirty")
        assert blocks(3000) - first < 50
        assert SANITIZED or proc.rollup(worker, "Private_Dirty") - before < 512 * 1024
