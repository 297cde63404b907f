"""What the code of an operator or an application starts when it is loaded ends with the generation, however that ends."""
import os
import signal
import subprocess
import textwrap

import pytest

import proc
from clock import eventually
from saying import SAY
from server import BINARY, WSGI, clean_environment

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin")

# Each leaves one process, which ends by itself only after the test, and says its pid.
STARTERS = {
    "subprocess": "import subprocess; say('pid', subprocess.Popen(['sleep', '300']).pid)",
    "fork": "import time\npid = os.fork()\nif pid == 0:\n    time.sleep(300)\n    os._exit(0)\nsay('pid', pid)",
    "process": "import multiprocessing, time; p = multiprocessing.Process(target=time.sleep, args=(300,)); p.start(); say('pid', p.pid)",
    "manager": "import multiprocessing; m = multiprocessing.Manager(); say('pid', m._process.pid)",
    "deaf": "import subprocess; say('pid', subprocess.Popen(['sh', '-c', 'trap \"\" TERM; sleep 300; sleep 300']).pid)",
}
APP = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
HOOK = "def on_exit(server):\n    pass\n"


def started(said):
    return [int(line.split()[1]) for line in said() if line.startswith("pid ")]


def alive(said):
    return [pid for pid in started(said) if proc.alive(pid)]


@pytest.fixture(autouse=True)
def _end_what_is_left(said):
    yield
    for pid in alive(said):
        os.kill(pid, signal.SIGKILL)


def write(folder, conf="", app=""):
    (folder / "gunicorn.conf.py").write_text(SAY + conf + "\n")
    (folder / "shop.py").write_text(SAY + app + "\n" + APP)


@pytest.mark.parametrize("where", ["conf", "app"])
@pytest.mark.parametrize("kind", STARTERS)
def test_a_generation_leaves_none(serve, tmp_path, said, kind, where):
    write(tmp_path, **{where: STARTERS[kind]})
    server = serve("shop:app", "--chdir", tmp_path, "--preload", "-w", "2")
    first = eventually("the first alone", lambda: len(pids := alive(said)) == 1 and pids)
    server.reload()
    eventually("the end of the first", lambda: not set(first) & set(alive(said)))
    assert server.get("/").text == "ok" and len(alive(said)) == 1
    assert server.stop() == 0
    assert alive(said) == []


@pytest.mark.parametrize("kind", STARTERS)
def test_a_process_of_hooks_leaves_none(serve, tmp_path, said, kind):
    write(tmp_path, STARTERS[kind] + "\n" + HOOK)
    server = serve("shop:app", "--chdir", tmp_path)
    server.wait_serving()
    assert len(alive(said)) == 2  # of the hooks, and of the template
    assert server.stop() == 0
    eventually("the end of all", lambda: not alive(said))


@pytest.mark.parametrize("flags", [(), ("--preload",)])
@pytest.mark.parametrize("app, code", [("raise ValueError", 3), ("import time; time.sleep(100)", 3)])
def test_a_start_that_fails_leaves_none(tmp_path, said, flags, app, code):
    write(tmp_path, app=STARTERS["process"] + "\n" + app)
    done = run(tmp_path, "shop:app", "-w", "2", "--boot-timeout", "2", *flags)
    assert done.returncode in (code, 4), done.stderr
    assert started(said) and not alive(said)


@pytest.mark.parametrize("args, reason", [
    (("shop:app", "-b", "192.0.2.1:0"), "192.0.2.1"),
    (("shop:app", "-p", "/no/such/folder/pid"), "/no/such/folder"),
    ((), "no application"),
])
def test_a_start_that_is_refused_leaves_none_of_the_hooks(tmp_path, said, args, reason):
    write(tmp_path, STARTERS["manager"] + "\n" + HOOK)
    done = run(tmp_path, *args)
    assert done.returncode != 0 and reason in done.stderr + done.stdout
    eventually("the end of all", lambda: not alive(said))
    assert started(said)


@pytest.mark.parametrize("mode", ["--check-config", "--print-config"])
@pytest.mark.parametrize("hook", [HOOK, ""])
def test_a_check_ends_its_output_and_leaves_none(tmp_path, said, mode, hook):
    write(tmp_path, "\n".join(STARTERS[kind] for kind in ("subprocess", "manager")) + "\n" + hook, STARTERS["process"])
    done = run(tmp_path, "shop:app", mode)  # a pipe that one of them holds would hold us up
    assert done.returncode == 0, done.stderr
    eventually("the end of all", lambda: not alive(said))
    assert started(said)


def test_a_reload_that_hangs_leaves_none(serve, tmp_path, said):
    write(tmp_path)
    server = serve("shop:app", "--chdir", tmp_path, "--preload", "--boot-timeout", "3")
    write(tmp_path, app=STARTERS["process"] + "\nimport time; time.sleep(100)")
    server.send(signal.SIGHUP)
    server.wait_for("Reload failed at step 'load'")
    eventually("the end of all", lambda: started(said) and not alive(said))
    assert server.get("/").text == "ok"


def test_what_a_request_starts_outlives_its_worker(serve, tmp_path, said):
    """As in Gunicorn: a recycled worker must not cut off a job that it has started."""
    job = textwrap.indent(textwrap.dedent("""
        import subprocess
        say('pid', subprocess.Popen(['sleep', '300']).pid)
        """), "    ")
    (tmp_path / "shop.py").write_text(SAY + APP.replace("\n", "\n" + job.lstrip("\n") + "\n", 1).replace("    import", "    import", 1))
    server = serve("shop:app", "--chdir", tmp_path, "--preload")
    assert server.get("/").text == "ok"
    workers = server.worker_pids()
    server.reload()
    eventually("the end of the worker", lambda: not any(map(proc.alive, workers)))
    assert len(alive(said)) == 1
    os.kill(alive(said)[0], signal.SIGKILL)  # else the fixture would find it


def test_what_a_hook_starts_outlives_the_server(serve, tmp_path, said):
    write(tmp_path, "def on_exit(server):\n    " + STARTERS["subprocess"] + "\n")
    server = serve("shop:app", "--chdir", tmp_path)
    assert server.stop() == 0
    assert len(alive(said)) == 1
    os.kill(alive(said)[0], signal.SIGKILL)  # else the fixture would find it


def run(folder, *args):
    return subprocess.run([str(arg) for arg in (BINARY, "-b", "127.0.0.1:0", "--chdir", folder, *args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=clean_environment(), cwd=folder, timeout=30)
