"""The Python package: `import narwhal` for programs that start the server, and the command that pip installs."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from server import BUILD, ROOT, WSGI, clean_environment

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs the package python3-dev")

FACTS = textwrap.dedent("""
    import os, sys
    def app(environ, start_response):
        start_response("200 OK", [])
        return [repr([os.getppid(), sys.executable, sys.path, sys.flags.utf8_mode, sys.flags.optimize, sys.warnoptions,
                      os.environ.get("GREETING"), [name for name in os.environ if name.startswith("NARWHAL_")]]).encode()]
    """)
NAMES = ("parent", "executable", "path", "utf8", "optimize", "warnings", "greeting", "own")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder of Python packages with ours, as pip installs it, but for the server: that is this build's."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(ROOT / "python" / "narwhal", folder / "narwhal", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "narwhal" / "_server").symlink_to(BUILD)
    return folder


@pytest.fixture
def program(serve, tmp_path, packages):
    """Starts a server by the text of a Python program, or by these words for Python."""
    def start(text=None, *words, folder=tmp_path, env=(), wait=True):
        folder.mkdir(exist_ok=True)
        (folder / "facts.py").write_text(FACTS)
        if text is not None:
            (folder / "main.py").write_text(textwrap.dedent(text))
            words = (*words, folder / "main.py")
        return serve(*words, bind=None, binary=sys.executable, env={"PYTHONPATH": str(packages), **dict(env)}, wait=wait)
    return start


def facts(server):
    return dict(zip(NAMES, eval(server.get("/").text)))


def refused(packages, text, *words):
    """What a program says that cannot start a server."""
    done = subprocess.run([sys.executable, *words, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=60,
                          env={**clean_environment(), "PYTHONPATH": str(packages)})
    assert done.returncode != 0 and "Starting narwhal" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_run_replaces_the_program_by_a_server_with_its_settings(program, tmp_path):
    server = program("""
        import atexit, narwhal, os
        print("before")
        atexit.register(print, "never")
        narwhal.run("facts:app", workers=2, bind=["127.0.0.1:0"], preload_app=True, raw_env=["GREETING=à 'b'\\n"], timeout=None)
        print("never")
        """)
    assert len(server.worker_pids()) == 2
    seen = facts(server)
    assert seen["parent"] == server.pid and seen["greeting"] == "à 'b'\n" and seen["own"] == []
    assert seen["executable"] == sys.executable
    assert server.stdout_path.read_text() == "before\n"
    before = server.worker_pids()
    server.reload()
    assert facts(server)["greeting"] == "à 'b'\n" and not set(before) & set(server.worker_pids())


def test_modules_are_found_beside_the_script_as_they_were_for_it(program, tmp_path):
    folder = tmp_path / "elsewhere"
    other = tmp_path / "packages of the program"
    server = program(f"import narwhal, sys; sys.path.insert(1, {str(other)!r}); narwhal.run('facts:app', bind='127.0.0.1:0')",
                     folder=folder)
    seen = facts(server)["path"]
    assert seen.index(str(tmp_path)) < seen.index(str(folder)) < seen.index(str(other))  # the current folder is first


def test_a_script_that_a_link_or_a_folder_names_finds_its_modules_too(program, tmp_path):
    folder = tmp_path / "opt"
    folder.mkdir()
    (folder / "facts.py").write_text(FACTS)
    (folder / "__main__.py").write_text("import narwhal; narwhal.run('facts:app', bind='127.0.0.1:0')\n")
    (tmp_path / "serve").symlink_to(folder / "__main__.py")
    for name in ("serve", "opt"):
        assert str(folder) in facts(program(None, tmp_path / name, folder=tmp_path / "elsewhere"))["path"]


def test_the_pythonpath_of_a_file_counts(program, tmp_path):
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "elsewhere_only.py").write_text(FACTS)
    (tmp_path / "shop.yaml").write_text(f"pythonpath: {tmp_path / 'libs'}\nbind: 127.0.0.1:0\n")
    server = program("import narwhal; narwhal.run('elsewhere_only:app', config='shop.yaml')", folder=tmp_path / "bin")
    assert facts(server)["path"][0] == str(tmp_path / "libs")


def test_a_program_that_is_its_own_application_is_refused_in_the_server(program, tmp_path, packages):
    (tmp_path / "own.py").write_text(FACTS + "import narwhal\nnarwhal.run('own:app', bind='127.0.0.1:0')\n")
    done = subprocess.run([sys.executable, "own.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env={**clean_environment(), "PYTHONPATH": str(packages)})
    assert done.returncode == 3 and done.stderr.count("Starting narwhal") == 1
    assert "RuntimeError: narwhal.run() was called in a process of a server, which imports the program as its application: " \
           'call it below if __name__ == "__main__"' in done.stderr


def test_a_timer_or_an_unusual_output_of_the_program_does_not_end_the_server(program):
    server = program("""
        import narwhal, signal, sys
        signal.setitimer(signal.ITIMER_REAL, 0.4)
        sys.stdout.close()
        sys.stderr = object()
        narwhal.run("facts:app", bind="127.0.0.1:0")
        """)
    time.sleep(0.5)  # a timer that still runs
    assert facts(server)["parent"] == server.pid


def test_settings_count_more_than_variables_and_files_and_no_file_is_read_unasked(program, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit('it must not be read')\n")
    (tmp_path / "shop.yaml").write_text("app: facts:app\nworkers: 4\nbind: 127.0.0.1:0\nraw_env: GREETING=file\n")
    env = {"GUNICORN_CMD_ARGS": "--workers 5 --env GREETING=variable"}
    server = program("import narwhal; narwhal.run('facts:app', workers=2, bind='127.0.0.1:0')", env=env)
    assert len(server.worker_pids()) == 2 and facts(server)["greeting"] == "variable"
    from_file = program("import narwhal, pathlib; narwhal.run(config=pathlib.Path('../shop.yaml'), workers=3)")
    assert len(from_file.worker_pids()) == 3 and facts(from_file)["greeting"] == "file"


def test_python_m_narwhal_is_the_command_in_this_interpreter_with_its_options(program, tmp_path):
    server = program(None, "-X", "utf8", "-O", "-W", "error::BytesWarning", "-m", "narwhal", "-b", "127.0.0.1:0", "facts:app",
                     "--chdir", tmp_path, env={"VIRTUAL_ENV": "/nowhere"})
    seen = facts(server)
    assert (seen["utf8"], seen["optimize"], seen["warnings"]) == (1, 1, ["error::BytesWarning"])
    assert seen["parent"] == server.pid and seen["executable"] == sys.executable


def test_a_signal_that_the_program_has_blocked_still_ends_the_server(program):
    server = program("""
        import narwhal, signal
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        narwhal.run("facts:app", bind="127.0.0.1:0")
        """)
    assert server.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("call, message", [
    ("narwhal.run(print)", "TypeError: narwhal.run() takes the name of the application, as in 'module:callable', not <built-in "
     "function print>: each worker imports it"),
    ("narwhal.run('a:b', post_fork=print)", "TypeError: narwhal.run(): post_fork is a function or a class, which stays in this process: "
     "put it into a gunicorn.conf.py and name that by config="),
    ("narwhal.run('a:b', raw_env=[object])", "TypeError: narwhal.run(): raw_env is a function or a class"),
    ("narwhal.run('a:b', bind=b'x')", "TypeError: narwhal.run(): bind cannot be passed on: b'x'"),
    ("narwhal.run('a:b', workrs=2)", "narwhal: NARWHAL_SETTINGS:1:2: unknown key 'workrs': did you mean 'workers'?"),
    ("narwhal.run('a:b', workers='many')", "narwhal: NARWHAL_SETTINGS:1:13: workers: 'many' "),
    ("narwhal.run(config='/nowhere/x.yaml')", "narwhal: /nowhere/x.yaml: there is no such file"),
    ("narwhal.run()", "narwhal: no application: "),
    ("narwhal.reload(2**30)", "ProcessLookupError: there is no process 1073741824"),
    ("narwhal.reload(os.getpid())", "ValueError: process "),
    ("narwhal.reload(str(os.getpid()))", "ValueError: process "),
    ("narwhal.nothing", "AttributeError: module 'narwhal' has no attribute 'nothing'"),
])
def test_what_cannot_be_done_is_said(packages, call, message):
    assert refused(packages, f"import narwhal, os; {call}").startswith(message)


def test_settings_that_are_too_large_for_a_variable_are_refused_with_the_way_out(packages):
    said = refused(packages, "import narwhal; narwhal.run('a:b', raw_env=['A=' + 200_000 * 'x'])")
    assert said.endswith(": Argument list too long: put settings into a file (config=)")


def test_a_package_without_its_server_says_so(packages, tmp_path):
    shutil.copytree(packages / "narwhal", tmp_path / "narwhal", ignore=shutil.ignore_patterns("_server"))
    said = refused(tmp_path, "import narwhal; narwhal.run('a:b')")
    assert re.fullmatch(r"narwhal: /.*/_server/narwhal: No such file or directory: install the package narwhal again", said)


def test_reload_reloads_a_running_server(program, packages, tmp_path):
    server = program("import narwhal; narwhal.run('facts:app', bind='127.0.0.1:0')")
    (tmp_path / "facts.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'new']\n")
    subprocess.run([sys.executable, "-c", f"import narwhal; narwhal.reload({server.pid})"], check=True,
                   env={**clean_environment(), "PYTHONPATH": str(packages)})
    server.wait_for("Generation 2 is ready")
    assert server.get("/").text == "new"


def test_the_interpreter_that_is_named_must_be_there():
    env = {**clean_environment(), "NARWHAL_PYTHON": "/nowhere/python"}
    done = subprocess.run([BUILD / "narwhal", "-b", "127.0.0.1:0", "a:b"], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 1 and "NARWHAL_PYTHON: /nowhere/python is not a program" in done.stderr


def test_the_settings_of_a_program_show_where_they_come_from(packages, tmp_path):
    (tmp_path / "facts.py").write_text(FACTS)
    env = {**clean_environment(), "NARWHAL_SETTINGS": json.dumps({"workers": 3})}
    done = subprocess.run([BUILD / "narwhal", "--print-config", "facts:app"], capture_output=True, text=True, env=env,
                          cwd=tmp_path, timeout=60)
    assert re.search(r"^workers: 3 +# NARWHAL_SETTINGS:1$", done.stdout, re.MULTILINE), done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("mypy", path="/usr/bin") is None, reason="needs the package mypy")
def test_its_types_are_strict_and_say_what_a_caller_may_pass(packages, tmp_path):
    (tmp_path / "right.py").write_text("import narwhal\nfrom pathlib import Path\n\n"
                                       "folder: str = narwhal.get_include()\nnarwhal.reload(1)\n"
                                       "narwhal.run('a:b', config=Path('x'), workers=4)\nprint('not reached')\n")
    (tmp_path / "wrong.py").write_text("import narwhal\n\nnarwhal.run(4)\nnarwhal.reload('1')\n")
    def check(*files):
        return subprocess.run(["/usr/bin/mypy", "--strict", "--cache-dir", tmp_path / "cache", *files], text=True,
                              capture_output=True, env={**os.environ, "MYPYPATH": str(packages)})
    right = check(ROOT / "python" / "narwhal", tmp_path / "right.py")
    assert right.returncode == 0, right.stdout
    assert check(tmp_path / "wrong.py").stdout.count("error: Argument 1") == 2


def test_get_include_is_in_the_package(packages):
    done = subprocess.run([sys.executable, "-c", "import narwhal; print(narwhal.get_include())"], capture_output=True, text=True,
                          env={**clean_environment(), "PYTHONPATH": str(packages)}, check=True)
    assert Path(done.stdout.strip()) == packages / "narwhal" / "include"


def test_a_signal_to_stop_that_comes_while_the_program_becomes_the_server_is_an_orderly_stop(packages, tmp_path):
    (tmp_path / "facts.py").write_text(FACTS)
    text = ("import os, signal, narwhal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
            "os.kill(os.getpid(), signal.SIGTERM); narwhal.run('facts:app', bind='127.0.0.1:0')")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                          env={**clean_environment(), "PYTHONPATH": str(packages)})
    assert done.returncode == 0
