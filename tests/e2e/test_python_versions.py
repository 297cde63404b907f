"""Applications run in the interpreter of their environment, of each version for which this build has a plugin."""
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from clock import eventually
from server import BINARY, BUILD, WSGI, clean_environment, run

pytestmark = pytest.mark.skipif(not WSGI.exists(), reason="this build has no WSGI plugin: it needs the package python3-dev")


def interpreters():
    """The programs for which the plugin was built: -Dpythons."""
    path = BUILD / "meson-info" / "intro-buildoptions.json"
    options = json.loads(path.read_text()) if path.exists() else []
    return next((option["value"] for option in options if option["name"] == "pythons"), []) or [sys.executable]


FACTS = textwrap.dedent("""
    import multiprocessing, os, site, sys
    def double(number):
        return 2 * number
    def app(environ, start_response):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            doubled = pool.map(double, [21])
        start_response("200 OK", [])
        facts = [sys.version_info[:2], sys.executable, sys.prefix, sys.base_prefix, doubled, sys.argv, "" in sys.path]
        return [repr(facts).encode()]
    """)


@pytest.fixture(scope="module", params=interpreters())
def venv(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("venv") / "env"
    subprocess.run([request.param, "-m", "venv", "--without-pip", str(folder)], check=True, env=clean_environment())
    return folder


def facts_of(venv):
    """What a bare program of the environment says."""
    text = "import sys; print([sys.version_info[:2], sys.executable, sys.prefix, sys.base_prefix])"
    done = subprocess.run([venv / "bin" / "python", "-c", text], capture_output=True, text=True, check=True, env=clean_environment())
    return eval(done.stdout)


@pytest.mark.parametrize("flags", [(), ("--preload",)])
def test_the_workers_are_the_program_of_the_environment(serve, tmp_path, venv, flags):
    (tmp_path / "facts.py").write_text(FACTS)
    server = serve("facts:app", "--chdir", tmp_path, "--venv", venv, *flags)
    got = eval(server.get("/").text)
    assert got == [*facts_of(venv), [42], ["narwhal"], False]
    program = os.path.realpath(venv / "bin" / "python")
    for pid in (server.template(), *server.worker_pids()):
        assert os.path.realpath(f"/proc/{pid}/exe") == program
    server.reload()
    assert eval(server.get("/").text) == got


def test_python_variables_and_signals_are_as_the_program_has_them(serve, tmp_path, venv):
    (tmp_path / "facts.py").write_text(textwrap.dedent("""
        import os, sys
        def app(environ, start_response):
            start_response("200 OK", [])
            return [repr([sys.flags.dev_mode, sys.flags.utf8_mode, hash("x"), os.environ.get("LD_PRELOAD")]).encode()]
        """))
    env = {"PYTHONDEVMODE": "1", "PYTHONUTF8": "1", "PYTHONHASHSEED": "7"}
    server = serve("facts:app", "--chdir", tmp_path, "--venv", venv, "-w", "2", env=env)
    assert {server.get("/").text for _ in range(8)} == {server.get("/").text}
    assert eval(server.get("/").text)[:2] == [True, 1]
    workers = set(server.worker_pids())
    for number in (signal.SIGHUP, signal.SIGUSR1):  # as to each process of a group
        for pid in (server.template(), *workers):
            os.kill(pid, number)
    os.kill(server.template(), signal.SIGINT)  # which would end a worker, as in Gunicorn
    assert server.get("/").status == 200 and server.template() and set(server.worker_pids()) == workers


def test_a_reload_may_bring_another_version(serve, tmp_path):
    programs = interpreters()
    if len(programs) < 2:
        pytest.skip("the plugin was built for one version")
    (tmp_path / "facts.py").write_text(FACTS)
    for number, program in enumerate(programs):
        subprocess.run([program, "-m", "venv", "--without-pip", str(tmp_path / f"env{number}")], check=True)
    link = tmp_path / "env"
    link.symlink_to("env0")
    server = serve("facts:app", "--chdir", tmp_path, "--venv", link)
    seen = [eval(server.get("/").text)[0]]
    for number in range(1, len(programs)):
        link.unlink()
        link.symlink_to(f"env{number}")
        server.reload()
        seen.append(eval(server.get("/").text)[0])
    assert len(set(seen)) == len(programs)


def test_the_plugin_itself_is_no_application():
    done = run("-b", "127.0.0.1:0", WSGI)
    assert done.returncode == 1
    assert f"{WSGI} runs Python applications: name the application, as in shop:app" in done.stderr


def test_an_interpreter_without_a_plugin_is_refused_and_a_reload_to_one_too(serve, tmp_path):
    (tmp_path / "facts.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n")
    (tmp_path / "other" / "bin").mkdir(parents=True)
    program = tmp_path / "other" / "bin" / "python"
    program.write_text("#!/bin/sh\necho 3.4\n")
    program.chmod(0o755)
    done = run("-b", "127.0.0.1:0", "--chdir", tmp_path, "--venv", tmp_path / "other", "facts:app")
    assert done.returncode == 1
    assert f"{program} is Python 3.4, and applications run in 3.9 to 3.13: name an environment" in done.stderr
    link = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env0")], check=True)
    link.symlink_to("env0")
    server = serve("facts:app", "--chdir", tmp_path, "--venv", link)
    link.unlink()
    link.symlink_to("other")
    server.send(signal.SIGHUP)
    server.wait_for("is Python 3.4, and applications run in 3.9 to 3.13")
    eventually("service", lambda: server.get("/").status == 200)


@pytest.mark.parametrize("flags", [(), ("--preload",)])
def test_an_installation_that_is_removed_does_not_touch_what_runs(serve, tmp_path, flags):
    """Template and workers are made again from private copies; a reload is refused, and says why."""
    (tmp_path / "facts.py").write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n")
    installed = tmp_path / "installed"
    (installed / "plugins").mkdir(parents=True)
    shutil.copy2(BINARY, installed)
    for plugin in (WSGI, WSGI.with_name("libnarwhal-worker.so")):
        shutil.copy2(plugin, installed / "plugins")
    server = serve("facts:app", "--chdir", tmp_path, "-w", "2", *flags, binary=installed / "narwhal")
    shutil.rmtree(installed)
    template, worker = server.template(), server.worker_pids()[0]
    os.kill(template, signal.SIGKILL)
    eventually("another template", lambda: server.template() not in (None, template))
    os.kill(worker, signal.SIGKILL)
    server.wait_workers(2, without=[worker])
    assert server.get("/").text == "ok"
    server.send(signal.SIGHUP)
    server.wait_for(r"Reload failed at step 'config': .* is not in .*: install narwhal again, and restart the server if it runs")
    assert server.get("/").text == "ok"
