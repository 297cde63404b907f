"""The interpreter around an application: how it is named and found, its threads, signals, modules, deadline and end."""
import json
import signal
import subprocess
import sys
import time

import pytest

import reference
from clock import eventually, scaled
from comparison import APPS
from load import in_parallel
from server import SANITIZED, clean_environment
from wire import request_bytes

FORMS = {"forms": "application", "forms:application": "application", "forms:instance": "('instance',) []",
         "forms:make()": "() []", 'forms:make("x", 2, key=None)': "('x', 2) [('key', None)]",
         "forms:make([1, 'a'], {'k': (True, 2.5)})": "([1, 'a'], {'k': (True, 2.5)}) []",
         "forms:Site('class')": "('class',) []",
         "web_flask.0-hello_route:app": "Hello from web_flask.0-hello_route"}
WRONG = ["forms:nothing", "forms:number", "forms:returns_none()", "forms:make(os.getcwd())", "forms:make(",
         "forms:make().told", "forms:fails()", "no_such_module:app", "no.such.module", "raises:app", "raises"]


@pytest.fixture
def process(serve, tmp_path):
    def start(*args, **named):
        return serve("process:app", "--chdir", APPS, *args, env={"TRIAL_FOLDER": str(tmp_path),
                                                                 "PYTHONDONTWRITEBYTECODE": "1"},
                     **named)
    return start


def asked(server, what):
    response = server.get(f"/{what}")
    assert response.status == 200, server.tail()
    return json.loads(response.body)


# ---- its name ----

@pytest.mark.parametrize("name", FORMS)
def test_an_application_is_named_as_for_gunicorn(serve, name):
    assert serve("--chdir", APPS, name).get("/").text == FORMS[name]


@pytest.mark.skipif(not reference.INSTALLED, reason="the package gunicorn is not installed")
@pytest.mark.parametrize("name", WRONG)
def test_one_that_is_not_there_ends_the_first_boot_as_gunicorn_does(serve, tmp_path, name):
    gunicorn = subprocess.run([sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "--chdir", APPS, name], cwd=tmp_path,
                              env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=scaled(30))
    server = serve("--chdir", APPS, name, wait=False)
    assert server.wait_exit() == gunicorn.returncode, f"{server.tail()}\n{gunicorn.stderr.decode()}"
    assert name.split(":")[0] in server.log()


def test_an_import_that_fails_shows_the_traceback(serve):
    server = serve("--chdir", APPS, "raises:app", wait=False)
    assert server.wait_exit() == 3
    server.wait_for(r"^Traceback \(most recent call last\):\n(.*\n)*  File \".*/raises.py\", line 1, in <module>\n"
                    r"(    .*\n)*RuntimeError: at import$")


def test_a_module_that_leaves_at_import_is_an_error_in_words(serve):
    server = serve("--chdir", APPS, "exits:app", wait=False)
    assert server.wait_exit() == 3
    server.wait_for("SystemExit: 9")


# ---- threads and signals ----

def test_with_one_thread_all_runs_on_the_main_thread(process):
    server = process()
    seen = [asked(server, "where") for _ in range(20)]
    assert all(each["main"] for each in seen) and len({each["ident"] for each in seen}) == 1
    assert seen[0]["signals"] == "taken"
    assert asked(server, "sqlite") == [42]  # a handle that is bound to its thread


def test_a_signal_of_the_applications_reaches_it(process):
    assert asked(process(), "raised") >= 1


def test_background_threads_run_while_the_server_waits(process):
    server = process()
    first = asked(server, "where")["ticks"]
    eventually("the thread has gone on", lambda: asked(server, "where")["ticks"] > first + 20)


def test_with_four_threads_four_requests_run_at_once(process):
    server = process("--threads", 4)
    began = time.monotonic()
    idents = in_parallel(4, lambda _: asked(server, "naps"))
    assert time.monotonic() - began < scaled(1.0) and len(set(idents)) == 4


def test_what_belongs_to_a_thread_is_made_once_for_each(process):
    server = process("--threads", 3)
    seen = [answer for answers in in_parallel(6, lambda _: [asked(server,
                                                                  "once") for _ in range(20)]) for answer in answers]
    idents = {ident for _, ident in seen}
    assert max(made for made, _ in seen) == len(idents) <= 4  # one more than `threads`: somebody tends the loop


# ---- modules ----

def test_extension_modules_load_and_children_are_waited_for(process):
    server = process()
    decimal, same, digest, ssl, squares, child = asked(server, "modules")
    assert decimal.startswith("0.142857") and same and len(digest) == 64 and ssl
    assert squares == [0, 1, 4, 9, 16] and child == "42\n"


def test_numpy_loads(process):
    pytest.importorskip("numpy", reason="the package python3-numpy is not installed")
    assert asked(process(), "numpy") == sum(number * number for number in range(1000))


# ---- deadline, crash and end ----

def test_a_request_past_its_deadline_leaves_its_python_stack_in_the_log(process):
    server = process("--timeout", 1)
    assert server.get("/hangs").status == 504
    server.wait_for(r'File ".*/process.py", line \d+ in hangs')
    server.wait_serving("/where")


@pytest.mark.skipif(SANITIZED, reason="the sanitizer reports the crash in its own way")
def test_a_crash_leaves_its_python_stack_in_the_log(process):
    server = process("-w", 2)
    server.wait_workers(2)
    with server.connect() as wire:
        wire.send(request_bytes("/crashes"))
        assert wire.end() in ("eof", "reset")
    server.wait_for(r'^Fatal Python error: Segmentation fault$')
    server.wait_for(r'File ".*/process.py", line \d+ in crashes')
    assert asked(server, "sqlite") == [42]


def test_at_exit_functions_run_and_what_was_printed_is_there(process, tmp_path):
    server = process()
    assert asked(server, "prints") == "printed"
    pid = asked(server, "where")["pid"]
    assert server.stop(signal.SIGTERM) == 0
    assert (tmp_path / "at_exit").read_text() == f"{pid}\n"
    assert server.stdout().splitlines()[-2:] == ["printed by the application", "at exit"]
    assert "and to stderr" in server.log()


def test_early_hints(process):
    with process().connect() as wire:
        wire.send(request_bytes("/hints"))
        hint = wire.response(interim=True)
        assert (hint.status, hint.header("Link")) == (103, "</style.css>; rel=preload; as=style")
        assert wire.response().body == b"hinted"
        wire.send(request_bytes("/hints", version="1.0"))
        assert wire.response(interim=True).status == 200


def test_the_working_directory_is_on_the_path_first_and_pythonpath_before_it(serve, tmp_path):
    for name in ("one", "two", "here"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site_of.py").write_text(f"NAME = {name!r}\n")
    (tmp_path / "here" / "paths.py").write_text(
        "import site_of\ndef app(environ, start_response):\n    start_response('200 OK', [])\n"
        "    return [site_of.NAME.encode()]\n")
    assert serve("paths:app", "--chdir", tmp_path / "here").get("/").text == "here"
    both = f"{tmp_path / 'one'},{tmp_path / 'two'}"
    assert serve("paths:app", "--chdir", tmp_path / "here", "--pythonpath", both).get("/").text == "two"  # as Gunicorn
