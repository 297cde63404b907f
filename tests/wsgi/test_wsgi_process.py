"""Names of applications, compared with Gunicorn; and what needs a Python application: signals, NumPy, thread-bound objects."""
import functools
import subprocess
import sys

import pytest

import reference
from clock import scaled
from comparison import APPS, LENGTH_KNOWN, asked
from load import in_parallel
from server import clean_environment

FORMS = {"forms": "application", "forms:application": "application", "forms:instance": "('instance',) []",
         "forms:make()": "() []", 'forms:make("x", 2, key=None)': "('x', 2) [('key', None)]",
         "forms:make([1, 'a'], {'k': (True, 2.5)})": "([1, 'a'], {'k': (True, 2.5)}) []",
         "forms:Site('class')": "('class',) []",
         "web_flask.0-hello_route:app": "Hello from web_flask.0-hello_route"}
WRONG = ["forms:nothing", "forms:number", "forms:returns_none()", "forms:make(os.getcwd())", "forms:make(",
         "forms:make().told", "forms:fails()", "no_such_module:app", "no.such.module", "raises:app", "raises"]


@pytest.fixture
def process(serve_app):
    return functools.partial(serve_app, "process:app")


# ---- its name ----

@pytest.mark.parametrize("name", FORMS)
def test_an_application_is_named_as_for_gunicorn(both, name):
    assert both(name).same(differs=LENGTH_KNOWN).text == FORMS[name]


@pytest.mark.skipif(not reference.INSTALLED, reason="the package gunicorn is not installed")
@pytest.mark.parametrize("name", WRONG)
def test_one_that_is_not_there_ends_the_first_boot_as_gunicorn_does(serve, tmp_path, name):
    gunicorn = subprocess.run([sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "--chdir", APPS, name], cwd=tmp_path,
                              env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=scaled(30))
    server = serve("--chdir", APPS, name, wait=False)
    assert server.wait_exit() == gunicorn.returncode, f"{server.tail()}\n{gunicorn.stderr.decode()}"
    assert name.split(":")[0] in server.log()


# ---- its process ----

def test_a_signal_of_the_applications_reaches_it(process):
    assert asked(process(), "raised") >= 1


def test_what_belongs_to_a_thread_is_made_once_for_each(process):
    server = process("--threads", 3)
    seen = [answer for answers in in_parallel(6, lambda _: [asked(server,
                                                                  "once") for _ in range(20)]) for answer in answers]
    idents = {ident for _, ident in seen}
    assert max(made for made, _ in seen) == len(idents) <= 4  # one more than `threads`: one runs the loop


def test_a_child_of_pythons_own_program_runs(process):
    assert asked(process(), "child") == "42\n"


@pytest.mark.parametrize("flags", [(), ("--preload",)])
def test_a_process_that_is_forked_on_any_thread_ends_as_one_of_pythons_own(process, flags):
    server = process("--threads", 4, *flags)
    seen = in_parallel(6, lambda _: asked(server, "forked"))
    assert seen == [[True, 0, 0]] * 6
    assert "At the end of the process" not in server.log()


def test_numpy_loads(process):
    pytest.importorskip("numpy", reason="the package python3-numpy is not installed")
    assert asked(process(), "numpy") == sum(number * number for number in range(1000))
